// Package alarm holds what people alarm on against the programs that will read it: the alerts against promtool, the
// ServiceMonitor and the rules against the Prometheus Operator's schemas on a real API server, and the configuration of
// kube-state-metrics against kube-state-metrics, which reads what a running operator writes.
package alarm
