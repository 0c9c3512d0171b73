// The Prometheus Operator's CustomResourceDefinitions, which tests hold config/prometheus against. They are a module of their own so
// that its dependencies do not choose ours.
module github.com/platformprofile/platformprofile/hack/prometheus-operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.94.0
