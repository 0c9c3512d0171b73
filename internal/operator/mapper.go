package operator

import (
	"net/http"
	"sync"

	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// restMapper maps the kinds that the operator writes, and no others: Events, which every cluster serves, and its own, of which all
// is known but whether the cluster serves them. The manager's usual mapper asks for everything that a cluster serves, and with
// hundreds of CRDs that takes the API server a while and this program megabytes.
type restMapper struct {
	meta.RESTMapper
	discovery discovery.ServerResourcesInterface

	mu     sync.Mutex
	served bool
}

func newRESTMapper(config *rest.Config, client *http.Client) (meta.RESTMapper, error) {
	d, err := discovery.NewDiscoveryClientForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	known := meta.NewDefaultRESTMapper([]schema.GroupVersion{v1alpha1.GroupVersion, eventsv1.SchemeGroupVersion})
	known.Add(eventsv1.SchemeGroupVersion.WithKind("Event"), meta.RESTScopeNamespace)
	for _, kind := range []string{"PlatformProfile", "PlatformComponent"} {
		known.Add(v1alpha1.GroupVersion.WithKind(kind), meta.RESTScopeRoot)
	}
	return &restMapper{RESTMapper: known, discovery: d}, nil
}

// RESTMapping returns how a kind is served: for one that is not, an error that meta.IsNoMatchError knows.
func (m *restMapper) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	mapping, err := m.RESTMapper.RESTMapping(kind, versions...)
	if err != nil || kind.Group != v1alpha1.GroupVersion.Group {
		return mapping, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.served {
		return mapping, nil
	}
	list, err := m.discovery.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	found := map[string]bool{}
	if err == nil {
		for _, resource := range list.APIResources {
			found[resource.Kind] = true
		}
	}
	if !found[kind.Kind] {
		return nil, &meta.NoKindMatchError{GroupKind: kind, SearchedVersions: []string{v1alpha1.GroupVersion.Version}}
	}
	m.served = found["PlatformProfile"] && found["PlatformComponent"]
	return mapping, nil
}
