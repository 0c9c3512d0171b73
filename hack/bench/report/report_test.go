package report

import (
	"strings"
	"testing"
)

func TestGoalsAreJudgedAndShown(t *testing.T) {
	number := func(n float64) *float64 { return &n }
	f := &Figures{
		StartupSeconds: number(5), RSSPeakMiB: number(250.4), ChangesPerSecond: number(50), ChangeToStatus: &Times{P50: 40, P99: 501},
		IdleRequestsPerMinute: number(0), HeartbeatEvaluations: number(1), CheckSeconds: number(1), ListFloorSeconds: number(0.5),
		PreflightSeconds: number(29),
		Failed:           []string{"storm: it rained"},
	}
	f.Judge()
	var b strings.Builder
	if err := f.Table(&b); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for line := range strings.SplitSeq(b.String(), "\n") {
		fields := strings.Fields(line)
		if len(fields) > 1 {
			got[strings.Join(fields[:3], " ")+"…"+fields[len(fields)-1]] = line
		}
	}
	for _, want := range []string{
		"start to first…yes", "memory, peak during…NO", "memory, steady at…-", "evaluation after one…-", "quiet: requests beside…yes",
		"heartbeats, leases, Events:…NO", "one-shot check, of…yes", "one-shot check, faster…NO", "not measured: storm:…rained",
	} {
		if _, ok := got[want]; !ok {
			t.Errorf("no line %q in\n%s", want, b.String())
		}
	}
	for _, want := range []string{"50 changes a second, p50", "40 ms", "501 ms", "at most 500 ms", "29.0 times"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
