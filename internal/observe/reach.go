package observe

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/version"

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
)

const (
	// askVersion is how often the API server is asked for its version while all goes well: it changes when the control plane
	// is upgraded.
	askVersion = 10 * time.Minute
	// quietContact is how long nothing may be heard of the API server before it is asked whether it is there. Who keeps a
	// lease, or waits for one, hears of it every few seconds.
	quietContact = 15 * time.Second
	// lookForContact is how often that is looked at, and how often an API server is asked that does not answer.
	lookForContact = 5 * time.Second
)

// LastContact is when the API server last answered; zero where it never did.
func (l *Live) LastContact() time.Time { return l.clients.Contact.Last() }

// recovery is how long at most the sources may take to be looked at anew once the API server is back: each waits for its
// turn to try again, and one that has just started refuses everybody for a moment.
const recovery = 10 * time.Second

// Settled tells whether what is in sight, and what is not, is as the API server has it: that it answers, and that either
// nothing is left to look at anew since it was away, or was given long enough.
func (l *Live) Settled() bool {
	if l.clients.Contact.lost.Load() {
		return false
	}
	ago, was := l.clients.Contact.returned()
	return !was || ago > recovery || !slices.ContainsFunc(l.all(), (*watcher).unsure)
}

// keepContact knows whether the API server answers, and in which version. When it answers again, all sources that wait for
// it are looked at at once, rather than each when its own turn comes.
func (l *Live) keepContact(ctx context.Context) {
	pause := 200 * time.Millisecond
	var asked, failing time.Time
	known, told := false, false
	for {
		if asked.IsZero() || time.Since(asked) > askVersion || !failing.IsZero() || l.clients.Contact.age() > quietContact {
			started := time.Now()
			name, err := l.version(ctx)
			switch {
			case ctx.Err() != nil:
				return
			case err == nil:
				l.apiServer.Replace([]facts.Fact{facts.APIServerOf(name)})
				if !failing.IsZero() {
					l.kickAll()
				}
				asked, failing, known, told, pause = time.Now(), time.Time{}, true, false, lookForContact
			default:
				l.clients.Contact.lost.Store(true)
				if failing.IsZero() {
					failing = started
				}
				if !told && (!known || time.Since(failing) > patience) {
					told = true
					l.apiServer.Lose(facts.Unreadable, unanswered(catalog.APIServerSource, failing, err.Error()))
				}
				pause = min(2*pause, lookForContact)
			}
		}
		for _, w := range l.all() {
			w.failOverdue()
		}
		select {
		case <-ctx.Done():
			return
		case <-l.back:
			// What answers again may be another API server than before, and the other sources may wait for it.
			asked = time.Time{}
			l.kickAll()
		case <-time.After(pause):
		}
	}
}

// version asks the API server for its version.
func (l *Live) version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*lookForContact)
	defer cancel()
	data, err := l.clients.Typed.Discovery().RESTClient().Get().AbsPath("/version").Do(ctx).Raw()
	if err != nil {
		return "", err
	}
	info := version.Info{}
	if err := json.Unmarshal(data, &info); err != nil {
		return "", fmt.Errorf("reading the API server's version: %w", err)
	}
	return info.GitVersion, nil
}

// kickAll has every source that waits because it was not answered tried again at once.
func (l *Live) kickAll() {
	for _, w := range l.all() {
		if !w.failedSince().IsZero() {
			w.kick()
		}
	}
}

// all are the watchers of this moment.
func (l *Live) all() []*watcher {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Values(l.watchers))
}

// crdChanged tells the watchers of a resource that its CRD is there, came, changed or went.
func (l *Live) crdChanged(crd string, gone, _ bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.watchers {
		if w.kind.optional && w.kind.resource.String() == crd {
			w.resourceChanged(gone)
		}
	}
}

// apiServiceChanged tells the watchers of an API group that an APIService of it came, changed or went. There is one for
// each version that is served, be it by a CRD or by an API that is aggregated, and its name is that of the version and the
// group: "v1beta1.metrics.k8s.io".
func (l *Live) apiServiceChanged(name string, _, listed bool) {
	if listed {
		return
	}
	_, group, _ := strings.Cut(name, ".")
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.watchers {
		if w.kind.optional && w.kind.resource.Group == group {
			w.resourceChanged(false)
			w.recheckSoon(l.run)
		}
	}
}

// Heard is when each source was last listed, or had a word for its watch, by its name; zero for one that never did. A watch
// with nothing to say says so every minute.
func (l *Live) Heard() map[string]time.Time {
	heard := map[string]time.Time{}
	for _, w := range l.all() {
		if last := w.lastHeard(); last.After(heard[w.source()]) || heard[w.source()].IsZero() {
			heard[w.source()] = last
		}
	}
	return heard
}
