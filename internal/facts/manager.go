package facts

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Manager is the object that manages a workload, or its Helm release. Namespace is empty if it is unknown.
type Manager struct {
	Kind, Namespace, Name string
}

// KindHelmRelease is the kind of a Manager that is a release of Helm itself, and no object.
const KindHelmRelease = "Helm release"

// String returns the kind and the name, for example "HelmRelease flux-system/cilium"; empty for no manager.
func (m Manager) String() string {
	return strings.TrimSpace(Ref{Kind: m.Kind, Namespace: m.Namespace, Name: m.Name}.String())
}

// findManager returns the manager of an object by the labels and annotations that Flux, Argo CD and Helm set. Argo CD sets an annotation
// APPLICATION:GROUP/KIND:NAMESPACE/NAME, in which the application of another namespace is NAMESPACE_NAME, or a label.
func findManager(o metav1.Object) Manager {
	labels, annotations := o.GetLabels(), o.GetAnnotations()
	for _, flux := range []struct{ kind, prefix string }{
		{"HelmRelease", "helm.toolkit.fluxcd.io/"}, {"Kustomization", "kustomize.toolkit.fluxcd.io/"},
	} {
		if name := labels[flux.prefix+"name"]; name != "" {
			return newManager(flux.kind, labels[flux.prefix+"namespace"], name)
		}
	}
	application, _, _ := strings.Cut(annotations["argocd.argoproj.io/tracking-id"], ":")
	if application == "" {
		application = labels["argocd.argoproj.io/instance"]
	}
	if namespace, name, ok := strings.Cut(application, "_"); ok {
		return newManager("Application", namespace, name)
	}
	if application != "" {
		return newManager("Application", "", application)
	}
	if release := annotations["meta.helm.sh/release-name"]; release != "" {
		return newManager(KindHelmRelease, annotations["meta.helm.sh/release-namespace"], release)
	}
	return Manager{}
}

func newManager(kind, namespace, name string) Manager {
	return Manager{kind, intern(namespace), intern(name)}
}
