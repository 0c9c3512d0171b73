package source

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/version"

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
)

const (
	// versionInterval is how often the API server is asked for its version while all goes well: an upgrade of the control plane changes it.
	versionInterval = 10 * time.Minute
	// maxQuiet is how long nothing may be heard from the API server before it is asked whether it is there. Every watch is sent a bookmark
	// every minute, so that this is seldom.
	maxQuiet = 75 * time.Second
	// checkInterval is how often that is checked, and how often an API server is asked that does not answer.
	checkInterval = 5 * time.Second
	// recoveryTime is how long the sources may take at most to sync again once the API server is back: each waits for its retry, and an
	// API server that has just started refuses everybody for a moment.
	recoveryTime = 10 * time.Second
)

// connection tracks whether the API server answers, and its version.
type connection struct {
	sources  *Sources
	feed     *inventory.Source // of the API server's version
	checkNow chan struct{}

	mu         sync.Mutex
	answeredAt time.Time // when it last answered a request for its version
	awaySince  time.Time // when it was first asked in vain; zero while it answers
	backAt     time.Time // when it answered again; zero where it never was away
}

func newConnection(s *Sources) *connection {
	return &connection{sources: s, feed: s.inventory.Source(catalog.APIServerSource), checkNow: make(chan struct{}, 1)}
}

// check has the API server asked at once, because a source is read again: what answers may be another API server than before.
func (c *connection) check() {
	select {
	case c.checkNow <- struct{}{}:
	default:
	}
}

// watch asks the API server for its version while nothing is heard from it, or a source fails. When it answers again, all sources that
// wait for it are read at once.
func (c *connection) watch(ctx context.Context) {
	var askedAt time.Time
	isKnown, isReported := false, false
	pause := 200 * time.Millisecond // until it first answers
	for {
		isAway := !c.sources.AwaySince().IsZero()
		if isAway || time.Since(askedAt) > versionInterval || c.isInDoubt() {
			startedAt := time.Now()
			name, err := c.version(ctx)
			switch {
			case ctx.Err() != nil:
				return
			case err == nil:
				c.setAnswered()
				c.feed.Replace([]facts.Fact{facts.NewAPIServer(name)})
				if isAway {
					c.retryAll()
				}
				askedAt, isKnown, isReported, pause = time.Now(), true, false, checkInterval
			default:
				since := c.setAway(startedAt)
				if !isReported && (!isKnown || time.Since(since) > patience) {
					isReported = true
					c.feed.SetState(facts.Failing, failingReason(catalog.APIServerSource, since, err.Error()))
				}
				pause = min(2*pause, checkInterval)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-c.checkNow:
			askedAt = time.Time{}
			c.retryAll()
		case <-time.After(pause):
		}
	}
}

// retryAll has all sources that fail read at once.
func (c *connection) retryAll() {
	for _, w := range c.sources.list() {
		w.post(APIServerIsBack)
	}
}

// isInDoubt reports whether to ask: nothing was heard for a while, or a source fails and its consumers are about to learn of it.
func (c *connection) isInDoubt() bool {
	return time.Since(c.sources.LastContact()) > maxQuiet || slices.ContainsFunc(c.sources.list(), func(w *source) bool {
		state := w.state.Load()
		return !state.FailingSince.IsZero() && state.Known != facts.Failing
	})
}

func (c *connection) setAnswered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answeredAt = time.Now()
	if !c.awaySince.IsZero() {
		c.awaySince, c.backAt = time.Time{}, c.answeredAt
	}
}

// setAway notes that the API server did not answer, and returns since when.
func (c *connection) setAway(askedAt time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.awaySince.IsZero() {
		c.awaySince = askedAt
	}
	return c.awaySince
}

// version asks the API server for its version.
func (c *connection) version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, checkInterval)
	defer cancel()
	data, err := c.sources.clients.Typed.Discovery().RESTClient().Get().AbsPath("/version").MaxRetries(0).Do(ctx).Raw()
	if err != nil {
		return "", err
	}
	info := version.Info{}
	if err := json.Unmarshal(data, &info); err != nil {
		return "", fmt.Errorf("reading the API server's version: %w", err)
	}
	return info.GitVersion, nil
}

// AwaySince is when the API server ceased to answer; zero while it answers.
func (s *Sources) AwaySince() time.Time {
	s.connection.mu.Lock()
	defer s.connection.mu.Unlock()
	return s.connection.awaySince
}

// HasRecovered reports whether what is known of the sources is what the API server has: it answers, and every source was read again since
// it was away, or had time enough for that.
func (s *Sources) HasRecovered() bool {
	s.connection.mu.Lock()
	isAway, backAt := !s.connection.awaySince.IsZero(), s.connection.backAt
	s.connection.mu.Unlock()
	if isAway || backAt.IsZero() {
		return !isAway
	}
	return time.Since(backAt) > recoveryTime || !slices.ContainsFunc(s.list(), func(w *source) bool { return w.state.Load().IsUnsettled() })
}

// LastContact is when the API server last answered a request for its version or a list, or sent something to a watch; zero for never.
// While the API server answers that is at most 80 seconds ago.
func (s *Sources) LastContact() time.Time {
	s.connection.mu.Lock()
	last := s.connection.answeredAt
	s.connection.mu.Unlock()
	for _, heard := range s.LastHeard() {
		if heard.After(last) {
			last = heard
		}
	}
	return last
}

// LastHeard is when each source was last listed, or its watch last sent an event or a bookmark, by the name of the source; zero for never.
// A watch sends a bookmark every minute.
func (s *Sources) LastHeard() map[string]time.Time {
	heard := map[string]time.Time{}
	for _, w := range s.list() {
		if last := w.state.Load().LastHeard; last.After(heard[w.kind.name()]) || heard[w.kind.name()].IsZero() {
			heard[w.kind.name()] = last
		}
	}
	return heard
}
