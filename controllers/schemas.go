package controllers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/config/crd"
)

const (
	// revisionAnnotation is a hash of a generated CRD, which make generate writes.
	revisionAnnotation = "platformprofile.dev/schema-revision"
	// schemasPatience is how long to wait for the CRDs. Where they cannot be read, they count as the operator's own.
	schemasPatience = 10 * time.Second
)

// Schemas compares the CRDs of the two kinds with those that the operator was built with, at the start and whenever one of
// them changes. While one differs nothing is evaluated and nothing is written: either side might lose what only the other
// knows. Every replica runs it.
type Schemas struct {
	client    metadata.Interface
	recorder  events.EventRecorder
	elected   <-chan struct{}
	log       logr.Logger
	revisions map[string]string // that the operator was built with, by the CRD's name

	mu        sync.Mutex
	mismatch  string // empty where the CRDs are the operator's own
	listeners []func()
}

// NewSchemas returns schemas that do not match until Start has read the CRDs of the cluster. The replica that is elected
// records events.
func NewSchemas(client metadata.Interface, recorder events.EventRecorder, elected <-chan struct{}, log logr.Logger) (*Schemas, error) {
	s := &Schemas{
		client: client, recorder: recorder, elected: elected, log: log, revisions: map[string]string{},
		mismatch: "the CRDs were not read yet",
	}
	files, err := fs.Glob(crd.Bases, "bases/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		data, err := crd.Bases.ReadFile(file)
		if err != nil {
			return nil, err
		}
		embedded := &metav1.PartialObjectMetadata{}
		if err := yaml.Unmarshal(data, embedded); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		s.revisions[embedded.Name] = embedded.Annotations[revisionAnnotation]
	}
	return s, nil
}

// NeedLeaderElection says that every replica compares the CRDs.
func (s *Schemas) NeedLeaderElection() bool { return false }

// Start watches the two CRDs until the context ends. A field selector names one object, so each has a watch.
func (s *Schemas) Start(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	signal := func(any) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	informers := map[string]cache.SharedIndexInformer{}
	var synced []cache.InformerSynced
	for name := range s.revisions {
		informer := metadatainformer.NewFilteredMetadataInformer(s.client, apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions"), "", 0, nil,
			func(options *metav1.ListOptions) {
				options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
			}).Informer()
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: signal, UpdateFunc: func(_, now any) { signal(now) }, DeleteFunc: signal}); err != nil {
			return err
		}
		informers[name], synced = informer, append(synced, informer.HasSynced)
		go informer.RunWithContext(ctx)
	}
	patience, cancel := context.WithTimeout(ctx, schemasPatience)
	defer cancel()
	if !cache.WaitForCacheSync(patience.Done(), synced...) && ctx.Err() == nil {
		s.log.Info("the CRDs of the operator cannot be read: they are taken to be of its version")
	}
	elected, recorded := s.elected, ""
	for ctx.Err() == nil {
		other, mismatch := s.compare(informers)
		s.set(mismatch)
		if elected == nil && mismatch != recorded {
			if recorded = mismatch; mismatch != "" {
				s.recorder.Eventf(other, nil, corev1.EventTypeWarning, "SchemaMismatch", "Compare", "%s", mismatch)
			}
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-elected:
			elected = nil
		}
	}
	return nil
}

// compare returns the first CRD that is not the operator's own, and how all of them differ.
func (s *Schemas) compare(informers map[string]cache.SharedIndexInformer) (first *metav1.PartialObjectMetadata, mismatch string) {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(s.revisions)) {
		if !informers[name].HasSynced() {
			continue
		}
		found := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name}} // one that is not installed has no revision
		if stored, exists, _ := informers[name].GetStore().GetByKey(name); exists {
			found = stored.(*metav1.PartialObjectMetadata).DeepCopy()
		}
		revision := found.Annotations[revisionAnnotation]
		if revision == s.revisions[name] {
			continue
		}
		texts = append(texts, fmt.Sprintf("the CRD %s has the revision %q and the operator needs %q", name, revision, s.revisions[name]))
		if first == nil {
			first = found
			first.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
		}
	}
	if first == nil {
		return nil, ""
	}
	return first, strings.Join(texts, ", ") + ": nothing is evaluated until the CRDs of the operator's version are applied"
}

// set takes in what came of a comparison, logs it and calls the listeners where it is another one.
func (s *Schemas) set(mismatch string) {
	s.mu.Lock()
	if mismatch == s.mismatch {
		s.mu.Unlock()
		return
	}
	s.mismatch = mismatch
	listeners := s.listeners
	s.mu.Unlock()
	if mismatch != "" {
		s.log.Info(mismatch)
	} else {
		s.log.Info("the CRDs are of the operator's version")
	}
	for _, listener := range listeners {
		listener()
	}
}

// Ready returns how the CRDs differ from those that the operator was built with, nil where they do not.
func (s *Schemas) Ready(*http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mismatch != "" {
		return errors.New(s.mismatch)
	}
	return nil
}

// match tells whether the CRDs are the operator's own.
func (s *Schemas) match() bool { return s.Ready(nil) == nil }

// onChange has a listener called whenever the CRDs begin or cease to match.
func (s *Schemas) onChange(listener func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, listener)
}
