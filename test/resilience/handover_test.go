package resilience

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

const (
	// defaultLease is how long the lease lasts unless a test sets it.
	defaultLease = 15 * time.Second
	// shortLease is the shortest that it may last.
	shortLease = 5 * time.Second
	// longLease is longer than a standby takes to acquire a lease that was released, on a busy machine.
	longLease = 45 * time.Second
)

// TestLeaderKilled kills the leader: the standby takes over, evaluates what changed meanwhile, and publishes it once.
func TestLeaderKilled(t *testing.T) {
	tc := acquireCluster(t)
	leader, standby := tc.startPair(t, "", defaultLease)
	p := tc.createWatchedProfile(t, "killed", 0)
	p.awaitEvents(t, map[string]int{"Conformant": 1})

	killed := time.Now()
	leader.signal(t, syscall.SIGKILL)
	p.createClass(t)
	s := p.Await(t, killed, "the standby answers", hasVerdict(v1alpha1.VerdictCheckFailed))
	t.Logf("of a lease of %s: the standby answered %s after the kill", defaultLease, s.Time.Sub(killed).Round(time.Millisecond))
	if !standby.leads(t) {
		t.Error("the standby wrote and does not lead")
	}
	p.awaitEvents(t, map[string]int{"CheckFailed": 1, "NotConformant": 1, "Conformant": 1})
	p.assertWrites(t, killed, 1)
}

// TestLeaderEnded stops the leader with SIGTERM: it releases the lease, so that the standby does not wait until it expires.
func TestLeaderEnded(t *testing.T) {
	tc := acquireCluster(t)
	leader, standby := tc.startPair(t, "", longLease)
	p := tc.createWatchedProfile(t, "ended", 0)
	p.awaitEvents(t, map[string]int{"Conformant": 1})

	ended := time.Now()
	leader.signal(t, syscall.SIGTERM)
	if code := leader.awaitEnd(t); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	p.createClass(t)
	s := p.Await(t, ended, "the standby answers", hasVerdict(v1alpha1.VerdictCheckFailed))
	t.Logf("the standby answered %s after SIGTERM, and the leader was gone", s.Time.Sub(ended).Round(time.Millisecond))
	if took := s.Time.Sub(ended); took > longLease {
		t.Errorf("the standby answered %s after SIGTERM: the lease was not given back", took)
	}
	if !standby.leads(t) {
		t.Error("the standby wrote and does not lead")
	}
	p.awaitEvents(t, map[string]int{"CheckFailed": 1, "NotConformant": 1})
	p.assertWrites(t, ended, 1)
	// It knew all that the verdict needs. The API server may end the watch of any other resource, which is then listed again.
	needed := []string{"storageclasses", "platformprofiles", "platformcomponents"}
	for _, request := range tc.requests(t, ended) {
		if request.Verb == "list" && request.RequestReceivedTimestamp.Time.Before(s.Time) &&
			slices.Contains(needed, request.ObjectRef.Resource) {
			t.Errorf("the standby had to list %s first", request.RequestURI)
		}
	}
}

// TestLeaderPaused pauses the leader for longer than its lease, with statuses to write: it writes and publishes nothing when it
// continues, and ends.
func TestLeaderPaused(t *testing.T) {
	tc := acquireCluster(t)
	const grace = 9 * time.Second
	leader, standby := tc.startPair(t, "", shortLease)
	profiles := make([]*watchedProfile, 12)
	for i := range profiles {
		profiles[i] = tc.createWatchedProfile(t, fmt.Sprintf("paused-%d", i), grace)
	}
	began := time.Now()
	for _, p := range profiles {
		p.createClass(t)
	}
	last := began
	for _, p := range profiles { // they are written some at a time, in any order
		if s := p.Await(t, began, "the check fails", hasVerdict(v1alpha1.VerdictCheckFailed)); s.Time.After(last) {
			last = s.Time
		}
	}

	// It may have yet to publish what it wrote just now, and has to turn Conformant once the grace period is over.
	leader.signal(t, syscall.SIGSTOP)
	stopped := time.Now()
	for _, p := range profiles {
		p.Await(t, stopped, "Conformant turns", func(p *v1alpha1.PlatformProfile) bool { return conformant(p) == "False" })
	}
	if !standby.leads(t) {
		t.Error("the standby wrote and does not lead")
	}
	t.Logf("Conformant became False %s after the last failure, with a grace period of %s and a leader that was paused",
		time.Since(last).Round(time.Millisecond), grace)
	time.Sleep(1500 * time.Millisecond) // statuses have whole seconds
	leader.signal(t, syscall.SIGCONT)
	woke := time.Now()
	if code := leader.awaitEnd(t); code == 0 {
		t.Error("a leader that lost its lease ended as if it had been asked to")
	}
	t.Logf("it ended %s after it woke", time.Since(woke).Round(time.Millisecond))
	for _, p := range profiles {
		p.awaitEvents(t, map[string]int{"NotConformant": 1})
		p.assertEventsAtMost(t, map[string]int{"CheckFailed": 1})
		p.assertWrites(t, stopped, 1)
	}

	mended := time.Now()
	profiles[0].deleteClass(t)
	profiles[0].Await(t, mended, "the check holds again", hasVerdict(v1alpha1.VerdictSatisfied))
	profiles[0].awaitEvents(t, map[string]int{"Satisfied": 1, "NotConformant": 1})
	profiles[0].assertWrites(t, mended, 1)
}

// TestLeaderKilledWhileItWrites kills the leader right after it wrote: its successor neither writes nor publishes the same again.
// Events of the leader may be lost: the status is the record.
func TestLeaderKilledWhileItWrites(t *testing.T) {
	tc := acquireCluster(t)
	leader, standby := tc.startPair(t, "", shortLease)
	for round := range *rounds {
		p := tc.createWatchedProfile(t, fmt.Sprintf("dying-%d", round), 0)
		began := time.Now()
		p.createClass(t)
		p.Await(t, began, "the check fails", hasVerdict(v1alpha1.VerdictCheckFailed))
		leader.signal(t, syscall.SIGKILL)
		leader = standby
		cluster.Eventually(t, "the standby leads", func() (bool, string) { return leader.leads(t), "" })
		standby = tc.startReplica(t, "", shortLease)
		p.assertEventsAtMost(t, map[string]int{"CheckFailed": 1, "NotConformant": 1, "Conformant": 1})
		p.assertWrites(t, began, 1)
	}
}

// TestLeaderCutOff drops every packet of the leader: it ends when it cannot renew its lease, and the standby takes over.
func TestLeaderCutOff(t *testing.T) {
	tc := acquireCluster(t)
	proxy := startTCPProxy(t, hostOf(t, tc.Config.Host))
	leader, standby := tc.startPair(t, "https://"+proxy.address(), shortLease)
	p := tc.createWatchedProfile(t, "cut-off", 0)
	p.awaitEvents(t, map[string]int{"Conformant": 1})

	cut := time.Now()
	proxy.blackhole()
	p.createClass(t)
	s := p.Await(t, cut, "the standby answers", hasVerdict(v1alpha1.VerdictCheckFailed))
	t.Logf("of a lease of %s: the standby answered %s after the cut", shortLease, s.Time.Sub(cut).Round(time.Millisecond))
	if !standby.leads(t) {
		t.Error("the standby wrote and does not lead")
	}
	if code := leader.awaitEnd(t); code == 0 {
		t.Error("a leader that lost its lease ended as if it had been asked to")
	}
	p.awaitEvents(t, map[string]int{"CheckFailed": 1, "NotConformant": 1})
	p.assertWrites(t, cut, 1)
}

func conformant(p *v1alpha1.PlatformProfile) string {
	for _, c := range p.Status.Conditions {
		if c.Type == v1alpha1.ConditionConformant {
			return string(c.Status)
		}
	}
	return ""
}
