package report

import (
	"encoding/json"
	"os"

	"github.com/platformprofile/platformprofile/hack/bench/fill"
)

// Figures are what one run measured. What was not measured, because something before it failed, is null.
type Figures struct {
	Scale   *fill.Scale `json:"scale"`
	Machine Machine     `json:"machine"`
	// Settings are the arguments and variables that the operator's Deployment gives it.
	Settings []string `json:"settings"`

	StartupSeconds *float64 `json:"startup_seconds"`
	RSSPeakMiB     *float64 `json:"rss_peak_mib"`
	RSSSteadyMiB   *float64 `json:"rss_steady_mib"`
	// RSSAfterLoadMiB is after the changes and the storm.
	RSSAfterLoadMiB  *float64 `json:"rss_after_load_mib"`
	LiveHeapMiB      *float64 `json:"live_heap_mib"`
	BytesPerWorkload *float64 `json:"bytes_per_further_workload"`

	ChangesPerSecond *float64 `json:"changes_per_second"`
	ChangeToStatus   *Times   `json:"change_to_status_ms"`
	// ChangeWriteMs is how long the API server took to answer the writes that the changes were: it is part of the above.
	ChangeWriteMs        *Times   `json:"change_write_ms"`
	EvaluationsPerChange *float64 `json:"evaluations_per_change"`
	// LoadedEvaluationMicroseconds is while these changes keep the machine busy; wall time, as all of these.
	LoadedEvaluationMicroseconds *float64 `json:"loaded_evaluation_us"`
	// SingleChangeToStatus is of changes that come one a second, and so are these times of an evaluation: that which half of
	// them take at most, and the mean, of which most are rules over thousands of objects when they see the time move on.
	SingleChangeToStatus       *Times   `json:"single_change_to_status_ms"`
	EvaluationMicroseconds     *float64 `json:"evaluation_us"`
	MeanEvaluationMicroseconds *float64 `json:"mean_evaluation_us"`
	// RuleMicroseconds is how long all rules about Certificates took after a change of one of them, on average, and
	// SlowRuleMicroseconds how long 99 of 100 evaluations of one rule took at most.
	RuleMicroseconds     *float64 `json:"certificate_rules_us"`
	SlowRuleMicroseconds *float64 `json:"certificate_rule_p99_us"`

	IdleRequestsPerMinute *float64 `json:"idle_requests_per_minute"`
	// IdleRequests are all requests of the quiet span, those for watches and the lease too.
	IdleRequests    map[string]int `json:"idle_requests"`
	IdleSpanSeconds *float64       `json:"idle_span_seconds"`
	IdleCPUPercent  *float64       `json:"idle_cpu_percent"`

	StormWorkloads       *float64 `json:"storm_workloads"`
	StormWritingSeconds  *float64 `json:"storm_writing_seconds"`
	StormSeconds         *float64 `json:"storm_seconds"`
	StormWritesPerSecond *float64 `json:"storm_status_writes_per_second"`
	HeartbeatEvaluations *float64 `json:"heartbeat_evaluations"`

	CheckSeconds     *float64 `json:"check_seconds"`
	CheckPeakMiB     *float64 `json:"check_rss_mib"`
	ListFloorSeconds *float64 `json:"list_floor_seconds"`
	PreflightSeconds *float64 `json:"preflight_seconds"`
	PreflightPeakMiB *float64 `json:"preflight_rss_mib"`
	// PreflightCutShort says that preflight was not done when patience ended: its time is the least that it takes.
	PreflightCutShort bool `json:"preflight_cut_short"`

	// UnknownVerdicts are the messages of what could not be judged.
	UnknownVerdicts []string `json:"unknown_verdicts"`
	// Failed says what could not be measured, and why.
	Failed []string `json:"failed"`
	Goals  []Goal   `json:"goals"`
}

// Times are in milliseconds.
type Times struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
	N   int     `json:"n"`
}

// Machine is what it ran on.
type Machine struct {
	CPUs int    `json:"cpus"`
	Go   string `json:"go"`
	// Load is the machine's load average when the run began: others on the machine make all times longer.
	Load      string `json:"load_at_start"`
	LoadAtEnd string `json:"load_at_end"`
}

// Write writes the figures to a file.
func (f *Figures) Write(file string) error {
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}
