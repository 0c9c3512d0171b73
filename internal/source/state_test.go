package source

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// story is what happens to a source, line by line: the second, the event, and then what the source is and does: what is known, the phase,
// and after "!" the actions. A line of "..." is every Tick that is due until the next line; what they do must be named there.
type story struct{ name, lines string }

var stories = []story{
	{"it is listed and watched", `
		0   Tick            Pending Reading !Read
		1   Answered        Pending Reading
		2   Listed          Pending Reading
		2   WatchOpened     Synced Watching
		60  Received        Synced Watching
		360 WatchEnded      Synced Waiting
		360 Tick            Synced Reading !Read
		361 WatchOpened     Synced Watching`},
	{"it can be listed and not watched: a source that is not known yet stays so", `
		0 Tick              Pending Reading !Read
		1 Listed            Pending Reading
		1 Refused           Forbidden Waiting !Report`},
	{"its watch cannot be opened and its list works: what is known stays right", `
		0  Tick             Pending Reading !Read
		1  WatchOpened      Synced Watching
		60 WatchEnded       Synced Waiting
		60 Tick             Synced Reading !Read
		61 Failed           Synced Waiting
		62 Tick             Synced Reading !Read
		63 Listed           Synced Reading
		63 Failed           Synced Waiting
		64 Tick             Synced Reading !Read
		64 Listed           Synced Reading
		64 Failed           Synced Waiting`},
	{"429 to its watch is reported after 15 s, and the watch continues where it was until then", `
		0  Tick             Pending Reading !Read
		1  Listed           Pending Reading
		1  WatchOpened      Synced Watching
		60 WatchEnded       Synced Waiting
		60 Tick             Synced Reading !Read
		60 Unavailable      Synced Waiting listed
		61 Tick             Synced Reading !Read
		70 Unavailable      Synced Waiting listed
		75 Tick             Failing Reading !Read !Report
		75 Unavailable      Failing Waiting
		76 Tick             Failing Reading !Read
		77 Listed           Failing Reading listed
		77 Unavailable      Failing Waiting listed
		80 Tick             Failing Reading !Read
		80 WatchOpened      Synced Watching`},
	{"an operator that starts reports at once a resource that it cannot read", `
		0 Tick              Pending Reading !Read
		1 Unavailable       Failing Waiting !Report
		2 Tick              Failing Reading !Read
		3 Unavailable       Failing Waiting`},
	{"a request without an answer counts as a failure after 15 s, and is reported after 15 more", `
		0   Tick            Pending Reading !Read
		1   WatchOpened     Synced Watching
		100 WatchEnded      Synced Waiting
		100 Tick            Synced Reading !Read
		114 Tick            Synced Reading
		115 Tick            Synced Reading
		129 Tick            Synced Reading
		130 Tick            Failing Reading !Report
		170 Unavailable     Failing Waiting`},
	{"a long list that goes on is no failure", `
		0  Tick             Pending Reading !Read
		14 Answered         Pending Reading
		28 Answered         Pending Reading
		42 Tick             Pending Reading
		42 Listed           Pending Reading`},
	{"a watch that sends nothing is restarted, and listed", `
		0   Tick            Pending Reading !Read
		1   Listed          Pending Reading listed
		1   WatchOpened     Synced Watching
		150 Tick            Synced Watching listed
		151 Tick            Synced Reading !Interrupt
		151 Interrupted     Synced Waiting
		151 Tick            Synced Reading !Read
		152 Listed          Synced Reading listed`},
	{"a watch that ends as soon as it is open is opened again after a pause, and listed when it does so again", `
		0   Tick            Pending Reading !Read
		1   Listed          Pending Reading
		1   WatchOpened     Synced Watching
		1   WatchEnded      Synced Waiting listed
		1   Tick            Synced Waiting
		2   Tick            Synced Reading !Read
		2   WatchOpened     Synced Watching
		2   WatchEnded      Synced Waiting`},
	{"an expired watch leads to a new list", `
		0  Tick             Pending Reading !Read
		1  Listed           Pending Reading
		1  WatchOpened      Synced Watching
		60 WatchExpired     Synced Waiting
		61 Tick             Synced Reading !Read
		62 Listed           Synced Reading listed`},
	{"a permission that goes is noticed by a review, and one that comes, too", `
		0  Tick             Pending Reading !Read
		1  WatchOpened      Synced Watching
		9  AccessGranted    Synced Watching
		10 AccessDenied     Synced Watching !Interrupt
		10 Interrupted      Synced Waiting
		10 Tick             Synced Reading !Read
		10 Refused          Forbidden Waiting !Report
		11 AccessDenied     Forbidden Waiting
		11 AccessGranted    Forbidden Waiting
		11 Tick             Forbidden Reading !Read
		12 WatchOpened      Synced Watching`},
	{"an API server that has just started refuses everybody, and is not believed", `
		0  Tick             Pending Reading !Read
		1  WatchOpened      Synced Watching
		60 WatchEnded       Synced Waiting
		60 Tick             Synced Reading !Read
		60 Unavailable      Synced Waiting
		65 APIServerIsBack  Synced Waiting
		65 Tick             Synced Reading !Read
		66 Refused          Synced Waiting
		70 Tick             Synced Reading !Read
		70 WatchOpened      Synced Watching`},
	{"an API server that restarts quickly ends watches, and refuses everybody for a moment", `
		0  Tick             Pending Reading !Read
		1  WatchOpened      Synced Watching
		60 WatchEnded       Synced Waiting
		60 Tick             Synced Reading !Read
		61 Refused          Synced Waiting
		62 Tick             Synced Reading !Read
		62 WatchOpened      Synced Watching`},
	{"an API server that has just started does not serve all CRDs yet, and is not believed", `
		0  Tick             Pending Reading !Read
		1  WatchOpened      Synced Watching
		60 WatchEnded       Synced Waiting
		60 Tick             Synced Reading !Read
		60 Unavailable      Synced Waiting
		62 Tick             Synced Reading !Read
		62 FoundNotServed   Synced Waiting
		63 Tick             Synced Reading !Read
		63 WatchOpened      Synced Watching`},
	{"a CRD that comes is read at once, and again in short intervals until it is served", `
		0   Tick            Pending Reading !Read
		1   FoundNotServed  NotServed Waiting !Report
		100 Tick            NotServed Waiting
		200 CRDChanged      NotServed Waiting
		200 Tick            NotServed Reading !Read
		200 FoundNotServed  NotServed Waiting
		201 Tick            NotServed Reading !Read
		201 WatchOpened     Synced Watching`},
	{"a CRD that changes has the watch restarted a moment later", `
		0  Tick             Pending Reading !Read
		1  WatchOpened      Synced Watching
		60 CRDListed        Synced Watching
		60 CRDChanged       Synced Watching
		60 Tick             Synced Watching
		61 Tick             Synced Watching !Interrupt
		61 Interrupted      Synced Waiting
		61 Tick             Synced Reading !Read
		61 FoundNotServed   NotServed Waiting !Report`},
	{"a CRD that is in a list wakes what waits for it", `
		0  Tick             Pending Reading !Read
		1  FoundNotServed   NotServed Waiting !Report
		90 CRDListed        NotServed Waiting
		90 Tick             NotServed Reading !Read`},
	{"one 404 is no absence, and 404 to what was never there is", `
		0  Tick             Pending Reading !Read
		1  WatchOpened      Synced Watching
		60 WatchEnded       Synced Waiting
		60 Tick             Synced Reading !Read
		60 FoundNothing     Synced Waiting
		61 Tick             Synced Reading !Read
		61 Listed           Synced Reading
		62 WatchOpened      Synced Watching`},
	{"a resource that never existed is requested again soon", `
		0 Tick              Pending Reading !Read
		1 FoundNothing      NotServed Waiting !Report
		2 Tick              NotServed Reading !Read
		2 FoundNothing      NotServed Waiting
		3 Tick              NotServed Waiting
		4 Tick              NotServed Reading !Read`},
}

// TestState checks the transitions of a source, and when it notifies its consumers.
func TestState(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, story := range stories {
		t.Run(story.name, func(t *testing.T) {
			s := State{Silence: DefaultWatchSilence}
			for line := range strings.SplitSeq(strings.TrimSpace(story.lines), "\n") {
				words := strings.Fields(line)
				var second int
				if _, err := fmt.Sscan(words[0], &second); err != nil {
					t.Fatal(err)
				}
				e := Event{Type: parseEventType(t, words[1]), Message: words[1]}
				now := start.Add(time.Duration(second) * time.Second)
				var actions Actions
				s, actions = s.On(e, now)
				got := append([]string{words[0], words[1], s.Known.String(), [...]string{"Waiting", "Reading", "Watching"}[s.Phase]},
					actionNames(actions)...)
				want := make([]string, 0, len(words))
				for _, word := range words {
					if word == "listed" {
						if !s.IsListed {
							t.Errorf("%s: there is no list to continue from", line)
						}
						continue
					}
					want = append(want, word)
				}
				if strings.Join(got, " ") != strings.Join(want, " ") {
					t.Fatalf("got %s, want %s", strings.Join(got, " "), strings.Join(want, " "))
				}
				if next := s.Deadline(); !next.IsZero() && next.Before(now.Add(-time.Second)) && e.Type == Tick {
					t.Errorf("%s: a Tick was due at %s, and has not done what was due", line, next.Sub(start))
				}
			}
		})
	}
}

// TestPauses checks that retries back off exponentially, and that a resource that is not served is retried every 10 minutes.
func TestPauses(t *testing.T) {
	for e, want := range map[EventType][]time.Duration{
		Failed: {200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond, 3200 * time.Millisecond,
			6400 * time.Millisecond, 10 * time.Second, 10 * time.Second},
		Refused:        {time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second},
		FoundNotServed: {10 * time.Minute, 10 * time.Minute},
	} {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		s := State{Silence: DefaultWatchSilence}
		for n, pause := range want {
			s, _ = s.On(Event{Type: Tick}, now)
			s, _ = s.On(Event{Type: e}, now)
			if got := s.retryAt.Sub(now); got != pause {
				t.Errorf("event %d: after %d failures it waits %s, want %s", e, n+1, got, pause)
			}
			now = s.retryAt
		}
	}
}

var eventTypes = map[string]EventType{
	"Tick":            Tick,
	"Answered":        Answered,
	"Listed":          Listed,
	"WatchOpened":     WatchOpened,
	"Received":        Received,
	"Interrupted":     Interrupted,
	"WatchEnded":      WatchEnded,
	"WatchExpired":    WatchExpired,
	"FoundNotServed":  FoundNotServed,
	"FoundNothing":    FoundNothing,
	"Refused":         Refused,
	"Unavailable":     Unavailable,
	"Failed":          Failed,
	"CRDChanged":      CRDChanged,
	"CRDListed":       CRDListed,
	"AccessGranted":   AccessGranted,
	"AccessDenied":    AccessDenied,
	"APIServerIsBack": APIServerIsBack,
}

func parseEventType(t *testing.T, name string) EventType {
	t.Helper()
	e, ok := eventTypes[name]
	if !ok {
		t.Fatalf("no event %q", name)
	}
	return e
}

func actionNames(a Actions) []string {
	var names []string
	if a.Read {
		names = append(names, "!Read")
	}
	if a.Interrupt {
		names = append(names, "!Interrupt")
	}
	if a.Report {
		names = append(names, "!Report")
	}
	return names
}
