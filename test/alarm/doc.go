// Package alarm holds what people alarm on against the tools that will read it: the alerts against promtool, the
// configuration of kube-state-metrics against a status that the operator would write.
package alarm
