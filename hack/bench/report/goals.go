package report

import "fmt"

// Goal is one figure and what it must reach.
type Goal struct {
	Figure   string `json:"figure"`
	Goal     string `json:"goal"`
	Measured string `json:"measured"`
	// Met is null where it was not measured.
	Met *bool `json:"met"`
}

// Judge holds the figures against what they must reach.
func (f *Figures) Judge() {
	p50, p99 := f.ChangeToStatus.percentiles()
	single50, single99 := f.SingleChangeToStatus.percentiles()
	changes := "change to status served"
	if f.ChangesPerSecond != nil {
		changes = fmt.Sprintf("change to status served, %.0f changes a second", *f.ChangesPerSecond)
	}
	storm := "storm"
	if f.StormWorkloads != nil {
		storm = fmt.Sprintf("storm of %.0f workloads", *f.StormWorkloads)
	}
	f.Goals = []Goal{
		atMost("start to first complete status", f.StartupSeconds, 5, "%.2f s"),
		atMost("memory, peak during start", f.RSSPeakMiB, 250, "%.0f MiB"),
		atMost("memory, steady", f.RSSSteadyMiB, 150, "%.0f MiB"),
		atMost("memory for a further workload", f.BytesPerWorkload, 2048, "%.0f bytes"),
		atMost("change to status served, 1 change a second, p50", single50, 100, "%.0f ms"),
		atMost("change to status served, 1 change a second, p99", single99, 500, "%.0f ms"),
		atMost(changes+", p50", p50, 100, "%.0f ms"),
		atMost(changes+", p99", p99, 500, "%.0f ms"),
		atMost("quiet: requests beside watches and lease", f.IdleRequestsPerMinute, 0, "%.1f a minute"),
		atMost("evaluation after one change, p50", f.EvaluationMicroseconds, 200, "%.0f µs"),
		// The second is that of a change that came while a write waited.
		atMost("evaluations for one change", f.EvaluationsPerChange, 2, "%.2f"),
		atMost("rules after a change of a Certificate, mean", f.RuleMicroseconds, 500, "%.0f µs"),
		atMost(storm+": right after the last change", f.StormSeconds, 2, "%.2f s"),
		atMost(storm+": status writes of one profile", f.StormWritesPerSecond, 5, "%.0f a second"),
		atMost("heartbeats, leases, Events: evaluations", f.HeartbeatEvaluations, 0, "%.0f"),
		atMost("one-shot check, of the floor", ratio(f.CheckSeconds, f.ListFloorSeconds), 2, "%.2f times"),
		atLeast("one-shot check, faster than preflight", ratio(f.PreflightSeconds, f.CheckSeconds), 30, "%.1f times"),
	}
}

func (t *Times) percentiles() (p50, p99 *float64) {
	if t == nil {
		return nil, nil
	}
	return &t.P50, &t.P99
}

func ratio(a, b *float64) *float64 {
	if a == nil || b == nil || *b == 0 {
		return nil
	}
	r := *a / *b
	return &r
}

func atMost(figure string, measured *float64, limit float64, format string) Goal {
	return judged(figure, "at most "+fmt.Sprintf(format, limit), measured, format, func(m float64) bool { return m <= limit })
}

func atLeast(figure string, measured *float64, limit float64, format string) Goal {
	return judged(figure, "at least "+fmt.Sprintf(format, limit), measured, format, func(m float64) bool { return m >= limit })
}

func judged(figure, goal string, measured *float64, format string, met func(float64) bool) Goal {
	g := Goal{Figure: figure, Goal: goal, Measured: "not measured"}
	if measured != nil {
		is := met(*measured)
		g.Measured, g.Met = fmt.Sprintf(format, *measured), &is
	}
	return g
}
