package observe

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
)

// TestWhatIsLetGoIsListedAnew shows that a source that is told not to answer while its watch is being opened is not left with a
// watch that tells of changes alone.
func TestWhatIsLetGoIsListedAnew(t *testing.T) {
	i := inventory.New(catalog.New(), time.Now)
	s := &consumers{facts: &factConsumer{feed: i.Feed("storageclasses.storage.k8s.io")}}
	w := &watcher{live: &Live{clients: Clients{Contact: NewContact()}}, sight: facts.Synced, sink: s}
	g := &gate{sink: s, watcher: w}
	reader := g.reader(&cache.ListWatch{
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
			w.ceased("it hangs")
			w.fail()
			return watch.NewFake(), nil
		},
	})
	if open, err := reader.WatchWithContext(t.Context(), metav1.ListOptions{}); !errors.Is(err, unretried{errLetGo}) {
		t.Errorf("it is watched: %v, %v", open, err)
	}
	all := true
	if _, err := reader.WatchWithContext(t.Context(), metav1.ListOptions{SendInitialEvents: &all}); err != nil {
		t.Errorf("a watch that begins with all that is there is not opened: %v", err)
	}
}

// tardy is a sink to which it takes a moment to lose what it has.
type tardy struct {
	sink
	replaced chan struct{}
	has      bool
}

func (s *tardy) Replace([]any, string) error {
	s.has = true
	close(s.replaced)
	return nil
}

func (s *tardy) lose(facts.SourceState, string) {
	select {
	case <-s.replaced:
		time.Sleep(10 * time.Millisecond) // until it is noted
	case <-time.After(100 * time.Millisecond):
	}
	s.has = false
}

// TestToldAndNotedAreTheSame shows that a source that is listed in the moment in which it is told not to answer either has what
// was listed and counts as seen, or neither.
func TestToldAndNotedAreTheSame(t *testing.T) {
	s := &tardy{replaced: make(chan struct{})}
	w := &watcher{live: &Live{clients: Clients{Contact: NewContact()}, back: make(chan struct{}, 1)}, sight: facts.Synced, sink: s}
	g := &gate{sink: s, watcher: w, watching: true}
	w.ceased("it hangs")
	failed := make(chan struct{})
	go func() {
		defer close(failed)
		w.fail()
	}()
	for w.inSight() { // until it is about to be told
		time.Sleep(time.Millisecond)
	}
	if err := g.Replace(nil, "1"); err != nil {
		t.Fatal(err)
	}
	<-failed
	if s.has != w.inSight() {
		t.Errorf("it has what was listed: %v, and counts as seen: %v", s.has, w.inSight())
	}
}

// TestAWatchThatIsRefusedIsNoneThatEnds shows that attempts to open a watch that are answered by 429 go on until patience is
// over, however close together they are. To end the look for them would have the source listed and taken to answer.
func TestAWatchThatIsRefusedIsNoneThatEnds(t *testing.T) {
	i := inventory.New(catalog.New(), time.Now)
	w := &watcher{sight: facts.Synced}
	asked := 0
	g := &gate{sink: &consumers{facts: &factConsumer{feed: i.Feed("storageclasses.storage.k8s.io")}}, watcher: w}
	reader := g.reader(&cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			return &storagev1.StorageClassList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}, nil
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
			asked++
			return nil, apierrors.NewTooManyRequestsError("too many")
		},
	})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := cache.NewReflectorWithOptions(listFirst{reader, g.Transformer()}, nil, g, cache.ReflectorOptions{
		Backoff: &wait.Backoff{Duration: 10 * time.Millisecond, Factor: 1.5, Cap: time.Second, Steps: 20},
	}).ListAndWatchWithContext(ctx)
	if errors.Is(err, errEndsAtOnce) || ctx.Err() == nil {
		t.Errorf("the look ends after %d attempts: %v", asked, err)
	}
	if asked < 5 || w.failedSince().IsZero() {
		t.Errorf("%d attempts, failing since %s", asked, w.failedSince())
	}

	// One that is opened and ends, again and again, is held back.
	w = &watcher{}
	opened := 0
	for w.mayOpen() && opened < 10 {
		w.countOpen()
		opened++
	}
	if opened != 3 {
		t.Errorf("it is opened %d times within a second", opened)
	}
	w.hear()
	if !w.mayOpen() {
		t.Error("one that has said something may not be opened anew")
	}
}

// noted is a sink that counts what it is told.
type noted struct {
	consumers
	lists, losses atomic.Int32
}

func (s *noted) Replace(objects []any, version string) error {
	s.lists.Add(1)
	return s.consumers.Replace(objects, version)
}

func (s *noted) lose(sight facts.SourceState, reason string) {
	s.losses.Add(1)
	s.consumers.lose(sight, reason)
}

// TestOneAnswerIsNoAbsence shows that a kind of Kubernetes' own that is answered by 404 is not taken to be served no more for
// that, and that one that is not served is asked for again soon.
func TestOneAnswerIsNoAbsence(t *testing.T) {
	notFound := apierrors.NewNotFound(schema.GroupResource{Group: "storage.k8s.io", Resource: "storageclasses"}, "")
	for name, test := range map[string]struct {
		answers           func(list int32) bool
		lists, mostLosses int32
	}{
		"there, and not for a moment": {func(list int32) bool { return list < 2 || list > 4 }, 2, 0},
		"not there, and then":         {func(list int32) bool { return list > 2 }, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := atomic.Int32{}
			i := inventory.New(catalog.New(), time.Now)
			s := &noted{consumers: consumers{facts: &factConsumer{feed: i.Feed("storageclasses.storage.k8s.io")}}}
			k := kind{by: func(Clients, schema.GroupVersionResource) *cache.ListWatch {
				return &cache.ListWatch{
					ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
						if !test.answers(asked.Add(1)) {
							return nil, notFound
						}
						return &storagev1.StorageClassList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}, nil
					},
					WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
						expires := watch.NewFake()
						go expires.Error(&apierrors.NewResourceExpired("list anew").ErrStatus)
						return expires, nil
					},
				}
			}}
			w := &watcher{live: &Live{clients: Clients{Contact: NewContact()}, back: make(chan struct{}, 1)}, kind: k, sink: s, kicked: make(chan struct{})}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			go func() {
				for s.lists.Load() < test.lists && ctx.Err() == nil {
					time.Sleep(10 * time.Millisecond)
				}
				cancel()
			}()
			w.watch(ctx)
			if s.lists.Load() < test.lists || s.losses.Load() > test.mostLosses {
				t.Errorf("asked %d times, it was listed %d times and lost %d times", asked.Load(), s.lists.Load(), s.losses.Load())
			}
		})
	}
}
