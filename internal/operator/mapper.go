package operator

import (
	"net/http"
	"slices"
	"sync"

	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// restMapper maps only the kinds that the operator writes: Event, which every cluster serves, and the kinds of this project, for which
// it checks by discovery whether they are served. The default mapper of the manager discovers all resources, which takes time and
// megabytes in clusters with hundreds of CRDs.
type restMapper struct {
	meta.RESTMapper
	discovery discovery.ServerResourcesInterface

	mu       sync.Mutex
	isServed bool // whether discovery has listed all kinds
}

// kinds are the kinds of this project.
var kinds = []string{"PlatformProfile", "PlatformComponent", "PlatformWaiver"}

func newRESTMapper(config *rest.Config, client *http.Client) (meta.RESTMapper, error) {
	d, err := discovery.NewDiscoveryClientForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	static := meta.NewDefaultRESTMapper([]schema.GroupVersion{v1alpha1.GroupVersion, eventsv1.SchemeGroupVersion})
	static.Add(eventsv1.SchemeGroupVersion.WithKind("Event"), meta.RESTScopeNamespace)
	for _, kind := range kinds {
		static.Add(v1alpha1.GroupVersion.WithKind(kind), meta.RESTScopeRoot)
	}
	return &restMapper{RESTMapper: static, discovery: d}, nil
}

// RESTMapping returns the mapping of a kind. If the cluster does not serve the kind, meta.IsNoMatchError is true for the error.
func (m *restMapper) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	mapping, err := m.RESTMapper.RESTMapping(kind, versions...)
	if err != nil || kind.Group != v1alpha1.GroupVersion.Group {
		return mapping, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.isServed {
		return mapping, nil
	}
	list, err := m.discovery.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	served := map[string]bool{}
	if err == nil {
		for _, resource := range list.APIResources {
			served[resource.Kind] = true
		}
	}
	if !served[kind.Kind] {
		return nil, &meta.NoKindMatchError{GroupKind: kind, SearchedVersions: []string{v1alpha1.GroupVersion.Version}}
	}
	m.isServed = !slices.ContainsFunc(kinds, func(kind string) bool { return !served[kind] })
	return mapping, nil
}
