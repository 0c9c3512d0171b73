package observe

import (
	"context"
	"errors"
	"reflect"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// gate stands between client-go's reflector and what it reads, on one look: it notes what is heard and what fails, and
// holds back the list of a source that is out of sight until its watch is open too. Without that a source that may be
// listed and not watched would come into sight and go again with each attempt.
type gate struct {
	sink
	watcher *watcher

	watching bool
	held     func() error
	// final is the failure that ended the look, where the reflector itself would go on trying for ever.
	final error
}

var (
	errBrokeOff   = errors.New("the connection broke off before there was an answer")
	errLetGo      = errors.New("what was known was let go, and must be listed anew")
	errEndsAtOnce = errors.New("its watch ends as soon as it is open")
)

// unretried is a failure that client-go's reflector does not take for one that it knows.
type unretried struct{ error }

// reader is what the reflector reads by.
func (g *gate) reader(from *cache.ListWatch) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			g.watching = false
			return from.ListWithContext(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			if g.letGo(options) {
				return nil, unretried{errLetGo}
			}
			if !g.watcher.mayOpen() {
				return nil, unretried{errEndsAtOnce}
			}
			w, err := from.WatchWithContext(ctx, options)
			if err == nil && reflect.TypeOf(w) == reflect.TypeOf(watch.NewEmptyWatch()) {
				err = errBrokeOff // client-go shows a connection that broke off before the answer as a watch that ended
			}
			if err != nil {
				return nil, g.failed(ctx, err)
			}
			err = g.opened()
			if err == nil && g.letGo(options) { // while it was being opened
				err = unretried{errLetGo}
			}
			if err != nil {
				w.Stop()
				return nil, err
			}
			return w, nil
		},
	}
}

// failed notes that a watch could not be opened. Where nobody answers, or too much is asked, the reflector tries again from
// where it was, which is right after a restart of the API server; when that lasts, the look ends.
func (g *gate) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	since := g.watcher.ceased(err.Error())
	if (utilnet.IsConnectionRefused(err) || apierrors.IsTooManyRequests(err)) && time.Since(since) > patience {
		g.final = err
		return unretried{err}
	}
	return err
}

// letGo tells whether a watch would tell of changes to what was let go, and not of what is there.
func (g *gate) letGo(options metav1.ListOptions) bool {
	return options.SendInitialEvents == nil && g.held == nil && !g.watcher.inSight()
}

// opened notes that the watch is open, and lets the list through that was held back. From then on nothing is let go.
func (g *gate) opened() error {
	g.watching, g.final = true, nil
	g.watcher.countOpen()
	if g.held != nil {
		deliver := g.held
		g.held = nil
		return deliver()
	}
	g.watcher.answered()
	return nil
}

// Replace takes in a list.
func (g *gate) Replace(objects []any, version string) error {
	deliver := func() error {
		g.watcher.telling.Lock()
		defer g.watcher.telling.Unlock()
		if err := g.sink.Replace(objects, version); err != nil {
			return err
		}
		g.watcher.saw()
		return nil
	}
	if g.watching || g.watcher.inSight() {
		return deliver()
	}
	g.held = deliver
	return nil
}

// Add, Update, Delete and Bookmark are what a watch has to say.

func (g *gate) Add(object any) error {
	g.watcher.hear()
	return g.sink.Add(object)
}

func (g *gate) Update(object any) error {
	g.watcher.hear()
	return g.sink.Update(object)
}

func (g *gate) Delete(object any) error {
	g.watcher.hear()
	return g.sink.Delete(object)
}

// Bookmark says that there was nothing to say.
func (g *gate) Bookmark(string) error {
	g.watcher.hear()
	return nil
}
