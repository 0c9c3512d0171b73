package observe

import (
	"context"
	"errors"
	"testing"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/inventory"
)

// TestWhatIsLetGoIsListedAnew shows that a source that is told not to answer while its watch is being opened is not left with a
// watch that tells of changes alone.
func TestWhatIsLetGoIsListedAnew(t *testing.T) {
	i := inventory.New(catalog.New(), time.Now)
	s := &factSink{feed: i.Feed("storageclasses.storage.k8s.io")}
	w := &watcher{live: &Live{clients: Clients{Contact: NewContact()}}, sight: inventory.Seen, sink: s}
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

func (s *tardy) lose(inventory.Sight, string) {
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
	w := &watcher{live: &Live{clients: Clients{Contact: NewContact()}, back: make(chan struct{}, 1)}, sight: inventory.Seen, sink: s}
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
	w := &watcher{sight: inventory.Seen}
	asked := 0
	g := &gate{sink: &factSink{feed: i.Feed("storageclasses.storage.k8s.io")}, watcher: w}
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
