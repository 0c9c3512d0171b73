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
	// revisionAnnotation contains a hash of the CRD. make generate writes it.
	revisionAnnotation = "platformprofile.dev/schema-revision"
	// schemaSyncTimeout is how long to wait for the CRDs. If they are unreadable, the operator assumes that they match.
	schemaSyncTimeout = 10 * time.Second
)

// Schemas compares the CRDs of all kinds with those that the operator was built with, whenever one of them changes. While they differ,
// no profile is evaluated and no status is written, because fields that only one side supports would be lost. Every replica runs it.
type Schemas struct {
	client    metadata.Interface
	recorder  events.EventRecorder
	elected   <-chan struct{}
	log       logr.Logger
	revisions map[string]string // required revisions, by the name of the CRD

	mu        sync.Mutex
	mismatch  string // empty if the CRDs match
	listeners []func()
}

// NewSchemas returns schemas that do not match until Start has read the CRDs of the cluster. Only the leader publishes events.
func NewSchemas(client metadata.Interface, recorder events.EventRecorder, elected <-chan struct{}, log logr.Logger) (*Schemas, error) {
	s := &Schemas{
		client: client, recorder: recorder, elected: elected, log: log, revisions: map[string]string{},
		mismatch: "the CRDs of the operator have not synced yet",
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

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica compares the CRDs.
func (s *Schemas) NeedLeaderElection() bool { return false }

// Start watches the CRDs until the context ends. Each has its own watch, because a field selector selects one name.
func (s *Schemas) Start(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	signal := func(any) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	crds := apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions")
	informers := map[string]cache.SharedIndexInformer{}
	var synced []cache.InformerSynced
	for name := range s.revisions {
		informer := metadatainformer.NewFilteredMetadataInformer(s.client, crds, "", 0, nil,
			func(options *metav1.ListOptions) {
				options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
			}).Informer()
		handler := cache.ResourceEventHandlerFuncs{AddFunc: signal, UpdateFunc: func(_, object any) { signal(object) }, DeleteFunc: signal}
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
		informers[name], synced = informer, append(synced, informer.HasSynced)
		go informer.RunWithContext(ctx)
	}
	syncCtx, cancel := context.WithTimeout(ctx, schemaSyncTimeout)
	defer cancel()
	if !cache.WaitForCacheSync(syncCtx.Done(), synced...) && ctx.Err() == nil {
		s.log.Info("cannot read the CRDs of the operator, assuming that they match its version")
	}
	elected, published := s.elected, ""
	for ctx.Err() == nil {
		object, mismatch := s.compare(informers)
		s.set(mismatch)
		if elected == nil && mismatch != published {
			if published = mismatch; mismatch != "" {
				s.recorder.Eventf(object, nil, corev1.EventTypeWarning, "SchemaMismatch", "Compare", "%s", mismatch)
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

// compare returns the first CRD that does not match, and a message about all that do not match.
func (s *Schemas) compare(informers map[string]cache.SharedIndexInformer) (first *metav1.PartialObjectMetadata, mismatch string) {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(s.revisions)) {
		if !informers[name].HasSynced() {
			continue
		}
		found := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name}} // a missing CRD has no revision
		if stored, exists, _ := informers[name].GetStore().GetByKey(name); exists {
			found = stored.(*metav1.PartialObjectMetadata).DeepCopy() //nolint:forcetypeassert // the informer has no other type
		}
		revision := found.Annotations[revisionAnnotation]
		if revision == s.revisions[name] {
			continue
		}
		texts = append(texts, fmt.Sprintf("CRD %s has revision %q, but the operator requires %q", name, revision, s.revisions[name]))
		if first == nil {
			first = found
			first.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
		}
	}
	if first == nil {
		return nil, ""
	}
	return first, strings.Join(texts, "; ") + ": profiles are not evaluated until the CRDs of the operator version are applied"
}

// set stores the result of a comparison. If it changed, set logs it and calls the listeners.
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
		s.log.Info("the CRDs match the operator version")
	}
	for _, listener := range listeners {
		listener()
	}
}

// Ready returns an error if the CRDs do not match. It is a readiness check.
func (s *Schemas) Ready(*http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mismatch != "" {
		return errors.New(s.mismatch)
	}
	return nil
}

// isMatching reports whether the CRDs match.
func (s *Schemas) isMatching() bool { return s.Ready(nil) == nil }

// onChange registers a listener that is called when the CRDs start or stop matching.
func (s *Schemas) onChange(listener func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, listener)
}
