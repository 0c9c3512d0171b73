package controllers

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/manifest"
	"github.com/platformprofile/platformprofile/internal/schema"
)

const (
	profilesResource    = "platformprofiles"
	definitionsResource = "platformcomponents"
	// schemasPatience is how long to wait for the CRDs. Where they cannot be read, they count as the operator's own.
	schemasPatience = 10 * time.Second
)

// Schemas watches the CRDs of the two kinds, and says how they differ from those that the operator was built with. Every
// replica runs it.
type Schemas struct {
	client dynamic.Interface
	reader client.Reader
	log    logr.Logger
	own    map[string]*apiextensionsv1.CustomResourceDefinition
	ready  chan struct{}

	mu        sync.Mutex
	served    map[string]*schema.Served // by resource; none where it is as the operator's own
	epoch     int64
	listeners []func()
}

// NewSchemas returns schemas that count as the operator's own until Start has read those of the cluster. reader reads
// past the cache.
func NewSchemas(c dynamic.Interface, reader client.Reader, log logr.Logger) (*Schemas, error) {
	s := &Schemas{
		client: c, reader: reader, log: log, own: map[string]*apiextensionsv1.CustomResourceDefinition{},
		ready: make(chan struct{}), served: map[string]*schema.Served{},
	}
	for _, resource := range []string{profilesResource, definitionsResource} {
		own, err := schema.Own(resource)
		if err != nil {
			return nil, err
		}
		s.own[resource] = own
	}
	return s, nil
}

// NeedLeaderElection says that every replica reads by the schemas.
func (s *Schemas) NeedLeaderElection() bool { return false }

// Start watches the two CRDs until the context ends.
func (s *Schemas) Start(ctx context.Context) error {
	var synced []cache.InformerSynced
	for resource := range s.own {
		informer := dynamicinformer.NewFilteredDynamicInformer(s.client, apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions"), "", 0, nil,
			func(options *metav1.ListOptions) {
				options.FieldSelector = fields.OneTermEqualSelector("metadata.name", s.own[resource].Name).String()
			}).Informer()
		registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { s.take(resource, object) },
			UpdateFunc: func(_, object any) { s.take(resource, object) },
		})
		if err != nil {
			return err
		}
		synced = append(synced, registration.HasSynced)
		go informer.RunWithContext(ctx)
	}
	patience, cancel := context.WithTimeout(ctx, schemasPatience)
	defer cancel()
	if !cache.WaitForCacheSync(patience.Done(), synced...) && ctx.Err() == nil {
		s.log.Info("the CRDs of the operator cannot be read: they are taken to be of its version")
	}
	close(s.ready)
	<-ctx.Done()
	return nil
}

// take holds a CRD that came or changed against the operator's own.
func (s *Schemas) take(resource string, object any) {
	served := &apiextensionsv1.CustomResourceDefinition{}
	u, ok := object.(*unstructured.Unstructured)
	if !ok {
		return
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, served); err != nil {
		s.log.Error(err, "a CRD cannot be read", "crd", u.GetName())
		return
	}
	compared, err := schema.Compare(s.own[resource], served)
	if err != nil {
		s.log.Error(err, "a CRD is of no use to this version of the operator", "crd", u.GetName())
		return
	}
	if len(compared.Lacks) == 0 && len(compared.Adds) == 0 {
		compared = nil
	}
	s.mu.Lock()
	before := s.served[resource]
	if said(before) == said(compared) {
		s.mu.Unlock()
		return
	}
	s.served[resource] = compared
	s.epoch++
	listeners := s.listeners
	s.mu.Unlock()
	switch {
	case compared == nil:
		s.log.Info("the CRD is of the operator's version", "crd", u.GetName())
	case len(compared.Lacks) > 0:
		s.log.Info("the CRD is older than the operator: apply the CRDs of the operator's version", "crd", u.GetName(), "lacks", listed(compared.Lacks))
	default:
		s.log.Info("the CRD is newer than the operator", "crd", u.GetName(), "adds", listed(compared.Adds))
	}
	for _, listener := range listeners {
		listener()
	}
}

func said(s *schema.Served) string {
	if s == nil {
		return ""
	}
	return strings.Join(s.Lacks, ",") + ";" + strings.Join(s.Adds, ",")
}

func listed(paths []string) string {
	const shown = 5
	text := strings.Join(paths[:min(shown, len(paths))], ", ")
	if more := len(paths) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// onChange has a listener called whenever a CRD becomes another one.
func (s *Schemas) onChange(listener func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, listener)
}

// of is how the schema of a resource differs, nil where it does not, and a number that changes when that does.
func (s *Schemas) of(resource string) (*schema.Served, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.served[resource], s.epoch
}

// misunderstood lists what the API server has stored in the spec of an object and the operator does not know. It asks for
// nothing unless the CRD is newer: otherwise there can be nothing. It fails where the object is not of the given generation
// any more.
func (s *Schemas) misunderstood(ctx context.Context, resource, kind, name string, generation int64) (field.ErrorList, error) {
	if served, _ := s.of(resource); served == nil || len(served.Adds) == 0 {
		return nil, nil
	}
	stored := &unstructured.Unstructured{}
	stored.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	if err := s.reader.Get(ctx, client.ObjectKey{Name: name}, stored); err != nil {
		return nil, err
	}
	if stored.GetGeneration() != generation {
		return nil, fmt.Errorf("%s %s changed while it was read", kind, name)
	}
	return manifest.Misunderstood(stored)
}
