package resilience

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

const (
	// usual is how long the lease lasts where nobody says otherwise.
	usual = 15 * time.Second
	// short is the shortest that it may last.
	short = 5 * time.Second
	// handover is how long a lease that was given back stays free: a standby reads it every 4.4 seconds at least.
	handover = 8 * time.Second
)

// late is how much later than the lease's end a standby may take over. It waits up to 2.2 retry periods before it reads the
// lease again, and may just miss the last renewal, and then the lease's end.
func late(lease time.Duration) time.Duration {
	retryPeriod := lease * 2 / 15
	return 2*retryPeriod*22/10 + time.Second
}

// TestLeaderKilled shows that a standby takes over soon after the lease of a leader that was killed, answers what changed
// meanwhile, and publishes it once.
func TestLeaderKilled(t *testing.T) {
	g := enter(t)
	leader, standby := g.startPair(t, "", usual)
	p := g.declare(t, "killed", 0)
	time.Sleep(time.Second)

	killed := time.Now()
	leader.signal(t, syscall.SIGKILL)
	p.fail(t)
	s := p.served(t, killed, usual+30*time.Second, "the standby answers", verdict(v1alpha1.VerdictCheckFailed))
	took := s.at.Sub(killed)
	t.Logf("of a lease of %s: the standby answered %s after the kill", usual, took.Round(time.Millisecond))
	if took > usual+late(usual) {
		t.Errorf("the standby answered %s after the kill", took)
	}
	if !standby.leads(t) {
		t.Error("the standby wrote and does not lead")
	}
	p.published(t, map[string]int{"CheckFailed": 1, "NotConformant": 1, "Conformant": 1})
	p.wrote(t, killed, 1)
}

// TestLeaderEnded shows that a leader that has to end gives the lease back, so that nobody waits until it is over.
func TestLeaderEnded(t *testing.T) {
	g := enter(t)
	leader, standby := g.startPair(t, "", usual)
	p := g.declare(t, "ended", 0)
	time.Sleep(time.Second)

	ended := time.Now()
	leader.signal(t, syscall.SIGTERM)
	if code := leader.end(t, 15*time.Second); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	p.fail(t)
	s := p.served(t, ended, usual, "the standby answers", verdict(v1alpha1.VerdictCheckFailed))
	t.Logf("the standby answered %s after SIGTERM, and the leader was gone", s.at.Sub(ended).Round(time.Millisecond))
	if took := s.at.Sub(ended); took > handover {
		t.Errorf("the standby answered %s after SIGTERM: the lease was not given back", took)
	}
	if !standby.leads(t) {
		t.Error("the standby wrote and does not lead")
	}
	p.published(t, map[string]int{"CheckFailed": 1, "NotConformant": 1})
	p.wrote(t, ended, 1)
	// It knew all that it needed: between the old leader's end and its own first word it listed nothing.
	for _, request := range g.requests(t, ended) {
		if request.Verb == "list" && request.RequestReceivedTimestamp.Time.Before(s.at) {
			t.Errorf("the standby had to list %s first", request.RequestURI)
		}
	}
}

// TestLeaderPaused shows that a leader that was paused past its lease, and wakes with statuses to write, writes and
// publishes nothing that its successor did, and ends.
func TestLeaderPaused(t *testing.T) {
	g := enter(t)
	const grace = 9 * time.Second
	leader, standby := g.startPair(t, "", short)
	profiles := make([]*watched, 12)
	for i := range profiles {
		profiles[i] = g.declare(t, fmt.Sprintf("paused-%d", i), grace)
	}
	began := time.Now()
	for _, p := range profiles {
		p.fail(t)
	}
	last := began
	for _, p := range profiles { // they are written some at a time, in any order
		if s := p.served(t, began, 20*time.Second, "the check fails", verdict(v1alpha1.VerdictCheckFailed)); s.at.After(last) {
			last = s.at
		}
	}

	// It may have yet to publish what it wrote just now, and has to turn Conformant once the grace period is over.
	leader.signal(t, syscall.SIGSTOP)
	stopped := time.Now()
	for _, p := range profiles {
		p.served(t, stopped, grace+short+20*time.Second, "Conformant turns", func(p *v1alpha1.PlatformProfile) bool { return conformant(p) == "False" })
	}
	if !standby.leads(t) {
		t.Error("the standby wrote and does not lead")
	}
	t.Logf("Conformant turned %s after the last failure, with a grace period of %s and a leader that was paused", time.Since(last).Round(time.Millisecond), grace)
	time.Sleep(1500 * time.Millisecond) // statuses have whole seconds
	leader.signal(t, syscall.SIGCONT)
	woke := time.Now()
	if code := leader.end(t, 30*time.Second); code == 0 {
		t.Error("a leader that lost its lease ended as if it had been told to")
	}
	t.Logf("it ended %s after it woke", time.Since(woke).Round(time.Millisecond))
	for _, p := range profiles {
		p.published(t, map[string]int{"NotConformant": 1})
		p.publishedAtMost(t, map[string]int{"CheckFailed": 1})
		p.wrote(t, stopped, 1)
	}

	mended := time.Now()
	profiles[0].mend(t)
	profiles[0].served(t, mended, 20*time.Second, "the check holds again", verdict(v1alpha1.VerdictSatisfied))
	profiles[0].published(t, map[string]int{"Satisfied": 1, "NotConformant": 1})
	profiles[0].wrote(t, mended, 1)
}

// TestLeaderKilledWhileItWrites shows that what a leader wrote in its last moment is neither written nor published again by its
// successor. Its events may be lost with it: the status is the record.
func TestLeaderKilledWhileItWrites(t *testing.T) {
	g := enter(t)
	leader, standby := g.startPair(t, "", short)
	for round := range *rounds {
		p := g.declare(t, fmt.Sprintf("dying-%d", round), 0)
		began := time.Now()
		p.fail(t)
		p.served(t, began, 20*time.Second, "the check fails", verdict(v1alpha1.VerdictCheckFailed))
		leader.signal(t, syscall.SIGKILL)
		leader = standby
		within(t, short+20*time.Second, "the standby leads", func() bool { return leader.leads(t) })
		standby = g.startReplica(t, "", short)
		p.publishedAtMost(t, map[string]int{"CheckFailed": 1, "NotConformant": 1, "Conformant": 1})
		p.wrote(t, began, 1)
	}
}

// TestLeaderCutOff shows that a leader whose network swallows every packet ends before its lease does, and that the standby
// takes over.
func TestLeaderCutOff(t *testing.T) {
	g := enter(t)
	between := g.newProxy(t)
	leader, standby := g.startPair(t, between.url, short)
	p := g.declare(t, "cut-off", 0)
	time.Sleep(time.Second)

	cut := time.Now()
	between.sever()
	p.fail(t)
	s := p.served(t, cut, short+30*time.Second, "the standby answers", verdict(v1alpha1.VerdictCheckFailed))
	t.Logf("of a lease of %s: the standby answered %s after the cut", short, s.at.Sub(cut).Round(time.Millisecond))
	if took := s.at.Sub(cut); took > short+late(short) {
		t.Errorf("the standby answered %s after the cut", took)
	}
	if !standby.leads(t) {
		t.Error("the standby wrote and does not lead")
	}
	if code := leader.end(t, 30*time.Second); code == 0 {
		t.Error("a leader that lost its lease ended as if it had been told to")
	}
	p.published(t, map[string]int{"CheckFailed": 1, "NotConformant": 1})
	p.wrote(t, cut, 1)
}

func conformant(p *v1alpha1.PlatformProfile) string {
	for _, c := range p.Status.Conditions {
		if c.Type == v1alpha1.ConditionConformant {
			return string(c.Status)
		}
	}
	return ""
}
