package resilience

import (
	"context"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// scrapeResult sums up the metrics of all running replicas at one time.
type scrapeResult struct {
	at        time.Time
	builds    int      // replicas that show their version: none is what "operator absent" means
	leaders   int      // replicas that say that they lead
	verdicts  []string // what the replicas say of the profile's Conformant: more than one is a contradiction
	standbys  int      // replicas that do not lead and show profiles
	inventory int      // replicas that show what is installed
}

// scraper scrapes all replicas again and again, as Prometheus does, only more often.
type scraper struct {
	profile string

	mu       sync.Mutex
	replicas []*replica
	scrapes  []scrapeResult
}

func (s *scraper) add(r *replica) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replicas = append(s.replicas, r)
}

func (s *scraper) run(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		replicas := slices.Clone(s.replicas)
		s.mu.Unlock()
		s.scrapeAll(ctx, replicas)
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// awaitScrapes waits until all replicas were scraped some more times.
func (s *scraper) awaitScrapes(t *testing.T) {
	t.Helper()
	count := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.scrapes)
	}
	const more = 10
	before := count()
	cluster.Eventually(t, "the replicas are scraped", func() (bool, string) { return count() >= before+more, "" })
}

func (s *scraper) scrapeAll(ctx context.Context, replicas []*replica) {
	seen := scrapeResult{at: time.Now()}
	for _, r := range replicas {
		text, err := r.Scrape(ctx)
		if err != nil {
			continue // it has ended, as its target in Prometheus has
		}
		leads := strings.Contains(text, `leader_election_master_status{name="platformprofile.dev"} 1`)
		if leads {
			seen.leaders++
		}
		if strings.Contains(text, "platformprofile_build_info{") {
			seen.builds++
		}
		if strings.Contains(text, `platformprofile_component_info{component="kubernetes"`) {
			seen.inventory++
		}
		if strings.Contains(text, "platformprofile_profile_info{") && !leads {
			seen.standbys++
		}
		for _, status := range []string{"true", "false", "unknown"} {
			if strings.Contains(text, `platformprofile_status_condition{condition="Conformant",profile="`+s.profile+`",status="`+status+`"} 1`) {
				seen.verdicts = append(seen.verdicts, status)
			}
		}
	}
	if ctx.Err() != nil {
		return // it was cut off by the end of the test
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scrapes = append(s.scrapes, seen)
}

// TestRollingUpgrade replaces both replicas one after the other, as the Deployment does: the metrics have no gap that an alert
// would notice and never contradict each other, and nothing is written or published.
func TestRollingUpgrade(t *testing.T) {
	tc := acquireCluster(t)
	leader, standby := tc.startPair(t, "", defaultLease)
	p := tc.createWatchedProfile(t, "rolled", 0)
	p.createClass(t)
	p.Await(t, time.Time{}, "the check fails", hasVerdict(v1alpha1.VerdictCheckFailed))
	p.awaitEvents(t, map[string]int{"CheckFailed": 1, "NotConformant": 1, "Conformant": 1})

	ctx, cancel := context.WithCancel(context.Background())
	s := &scraper{profile: p.Name, replicas: []*replica{leader, standby}}
	var wg sync.WaitGroup
	wg.Go(func() { s.run(ctx) })
	s.awaitScrapes(t)
	began := time.Now()
	// A new pod is ready before an old one gets SIGTERM. The leader ends first, then the one that took over:
	// two handovers, which is as many as there can be.
	for range 2 {
		next := tc.startReplica(t, "", defaultLease)
		s.add(next)
		leading := leader
		if standby.leads(t) {
			leading = standby
		}
		leading.signal(t, syscall.SIGTERM)
		if code := leading.awaitEnd(t); code != 0 {
			t.Errorf("%s ended with %d", leading.name, code)
		}
		if leading == leader {
			leader = next
		} else {
			standby = next
		}
		cluster.Eventually(t, "another replica leads", func() (bool, string) { return leader.leads(t) || standby.leads(t), "" })
	}
	s.awaitScrapes(t)
	cancel()
	wg.Wait()

	gap, longest := time.Time{}, time.Duration(0)
	for _, seen := range s.scrapes {
		if seen.builds == 0 {
			t.Errorf("at %s no replica exports its version: the operator would count as absent", seen.at)
		}
		if seen.leaders > 1 || seen.standbys > 0 || len(seen.verdicts) > 1 || len(seen.verdicts) == 1 && seen.verdicts[0] != "false" {
			t.Errorf("at %s replicas contradict each other: %+v", seen.at, seen)
		}
		if seen.inventory != seen.builds {
			t.Errorf("at %s a standby knows nothing of the cluster: %+v", seen.at, seen)
		}
		switch {
		case len(seen.verdicts) == 1 && !gap.IsZero():
			longest, gap = max(longest, seen.at.Sub(gap)), time.Time{}
		case len(seen.verdicts) == 0 && gap.IsZero():
			gap = seen.at
		}
	}
	t.Logf("%d scrapes: the longest time without the profile's conditions was %s", len(s.scrapes), longest.Round(time.Millisecond))
	const bridged = 2 * time.Minute // by the alerts
	if longest > bridged || !gap.IsZero() {
		t.Errorf("for %s no replica showed the profile", longest)
	}
	p.assertWrites(t, began, 0)
	p.awaitEvents(t, map[string]int{"CheckFailed": 1, "NotConformant": 1, "Conformant": 1})
}
