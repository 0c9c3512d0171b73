package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/platformprofile/platformprofile/hack/bench/fill"
	"github.com/platformprofile/platformprofile/hack/bench/measure"
	"github.com/platformprofile/platformprofile/hack/bench/report"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// bench is one run.
type bench struct {
	*options
	figures  *report.Figures
	begun    time.Time
	cluster  *cluster.Cluster
	clients  *fill.Clients
	profiles *measure.Profiles
	operator *measure.Operator
}

// run measures everything. A figure that cannot be taken is named as such and does not keep the others from being taken.
func run(ctx context.Context, o *options) error {
	b := &bench{options: o, begun: time.Now(), figures: &report.Figures{
		Scale: &o.scale, Machine: report.Machine{CPUs: runtime.NumCPU(), Go: runtime.Version(), Load: load()},
	}}
	err := b.measure(ctx)
	if ctx.Err() != nil {
		b.say("interrupted: cleaning up")
		err = errors.New("interrupted") // whatever request that cut short
	}
	if err == nil {
		err = b.report()
	}
	if err == nil && o.keep && b.cluster != nil {
		b.say("the cluster runs until Ctrl-C: export KUBECONFIG=" + b.cluster.Kubeconfig)
		<-ctx.Done()
	}
	b.stopOperator()
	if b.cluster != nil {
		b.cluster.Stop()
	}
	return err
}

// measure brings up and fills the cluster, and takes one figure after the other.
func (b *bench) measure(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b.say(fmt.Sprintf("scale %g, %d CPUs, load average %s", b.scale.Factor, b.figures.Machine.CPUs, b.figures.Machine.Load))
	if err := b.bringUp(ctx); err != nil {
		return err
	}
	for _, phase := range []struct {
		what string
		do   func(context.Context) error
		// needed says that nothing after it makes sense without it.
		needed bool
	}{
		{"start", b.start, true},
		{"quiet", b.beQuiet, false},
		{"heartbeats", b.heartbeats, false},
		{"single changes", b.makeSingleChanges, false},
		{"changes", b.makeChanges, false},
		{"storm", b.storm, false},
		{"changes of what rules read", b.changeCertificates, false},
		{"memory for further workloads", b.grow, false},
		{"one-shot check", b.check, false},
	} {
		err := phase.do(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && phase.needed:
			return fmt.Errorf("%s: %w", phase.what, err)
		case err != nil:
			b.failed(phase.what, err)
		}
	}
	return nil
}

func (b *bench) bringUp(ctx context.Context) error {
	b.say("starting etcd and kube-apiserver")
	var err error
	// Nobody but the benchmark writes statuses. Nodes come as they are when their kubelet has long been up, and no controller
	// makes the ServiceAccounts that pods name.
	flags := []string{
		"--without",
		"kwok,controllers,scheduler",
		"--audit",
		"--apiserver-arg",
		"disable-admission-plugins=TaintNodesByCondition,ServiceAccount",
	}
	if b.pprof != "" {
		flags = append(flags, "--apiserver-arg", "profiling=true") // what a change costs is mostly spent there
	}
	if b.cluster, err = cluster.Start(flags...); err != nil {
		return err
	}
	if b.clients, err = fill.NewClients(b.cluster); err != nil {
		return err
	}
	if err := b.cluster.Install(ctx); err != nil {
		return fmt.Errorf("installing the operator: %w", err)
	}
	if err := fill.Aggregate(ctx, b.clients); err != nil {
		return err
	}
	if err := fill.All(ctx, b.cluster, b.clients, &b.scale, b.say); err != nil {
		return err
	}
	b.profiles, err = measure.Watch(ctx, b.cluster.Client)
	return err
}

func (b *bench) start(ctx context.Context) error {
	var err error
	if b.operator, err = measure.Start(ctx, b.cluster, b.operatorProgram); err != nil {
		return err
	}
	b.figures.Settings = b.operator.Settings
	b.say("the operator starts, with " + strings.Join(b.operator.Settings, " "))
	profiled := make(chan error, 1)
	go func() { profiled <- b.profileStart(ctx) }()
	started, err := measure.AwaitStartup(ctx, b.operator, b.profiles, &b.scale, choose(b.scale.Factor >= 0.5, 15*time.Second, 5*time.Second))
	if err != nil {
		return errors.Join(err, b.lastWords())
	}
	if err := <-profiled; err != nil {
		return err
	}
	b.figures.StartupSeconds, b.figures.RSSPeakMiB, b.figures.UnknownVerdicts =
		number(started.Took.Seconds()), number(started.Peak), started.Unknown
	b.say(fmt.Sprintf("every profile had its status after %.2f s; memory was at most %.0f MiB", started.Took.Seconds(), started.Peak))
	for _, unknown := range started.Unknown {
		b.say(fmt.Sprintf("Unknown: %.200s", unknown))
	}
	return nil
}

func (b *bench) beQuiet(ctx context.Context) error {
	b.say(fmt.Sprintf("quiet for %s", b.quiet))
	quiet, err := measure.BeQuiet(ctx, b.cluster, b.operator, b.quiet)
	if err != nil {
		return err
	}
	b.figures.IdleRequestsPerMinute, b.figures.IdleRequests, b.figures.IdleSpanSeconds =
		number(quiet.PerMinute), quiet.Requests, number(b.quiet.Seconds())
	b.figures.RSSSteadyMiB, b.figures.IdleCPUPercent = number(quiet.Memory), number(100*quiet.CPU)
	b.say(fmt.Sprintf("in the quiet: %.1f requests a minute beside watches and lease, %.0f MiB, %.2f %% of a CPU; all requests: %v",
		quiet.PerMinute, quiet.Memory, 100*quiet.CPU, quiet.Requests))
	return b.profile(ctx, "steady", 5*time.Second)
}

func (b *bench) heartbeats(ctx context.Context) error {
	b.say(fmt.Sprintf("%d heartbeats, %d renewals of leases, %d Events", b.scale.Nodes, b.scale.Nodes, b.scale.Events))
	evaluations, err := measure.Heartbeats(ctx, b.clients, b.operator, &b.scale)
	if err != nil {
		return err
	}
	b.figures.HeartbeatEvaluations = number(float64(evaluations))
	b.say(fmt.Sprintf("they caused %d evaluations", evaluations))
	return nil
}

// makeSingleChanges makes changes so seldom that each finds the machine idle.
func (b *bench) makeSingleChanges(ctx context.Context) error {
	changed, err := b.change(ctx, 1, b.changes)
	if err != nil {
		return err
	}
	b.figures.SingleChangeToStatus = timesOf(changed.Times)
	b.figures.EvaluationMicroseconds, b.figures.MeanEvaluationMicroseconds =
		number(microseconds(changed.Median)), number(microseconds(changed.Evaluation))
	return nil
}

func (b *bench) makeChanges(ctx context.Context) error {
	profiled := make(chan error, 1)
	go func() { profiled <- b.profile(ctx, "load", b.changes*2/3) }()
	changed, err := b.change(ctx, b.rate, b.changes)
	if err = errors.Join(err, <-profiled); err != nil {
		return err
	}
	b.figures.ChangesPerSecond, b.figures.ChangeToStatus, b.figures.ChangeWriteMs =
		number(changed.Rate), timesOf(changed.Times), timesOf(changed.Writes)
	b.figures.LoadedEvaluationMicroseconds, b.figures.EvaluationsPerChange =
		number(microseconds(changed.Evaluation)), number(changed.PerChange)
	return nil
}

func (b *bench) change(ctx context.Context, rate float64, span time.Duration) (measure.Changed, error) {
	b.say(fmt.Sprintf("%g changes a second for %s", rate, span))
	changed, err := measure.MakeChanges(ctx, b.clients, b.operator, b.profiles, &b.scale, rate, span)
	if err != nil {
		return changed, err
	}
	seen, writes := timesOf(changed.Times), timesOf(changed.Writes)
	b.say(fmt.Sprintf("%d changes, %.1f a second, were seen after p50 %.0f, p99 %.0f, at most %.0f ms (the writes alone took p50 %.0f, p99 %.0f ms); %.2f evaluations for each, of %.0f µs in the middle and %.0f on average",
		seen.N, changed.Rate, seen.P50, seen.P99, seen.Max, writes.P50, writes.P99, changed.PerChange, microseconds(changed.Median),
		microseconds(changed.Evaluation)))
	return changed, nil
}

func timesOf(all []time.Duration) *report.Times {
	at := func(percent float64) float64 { return milliseconds(measure.Percentile(all, percent)) }
	return &report.Times{P50: at(50), P99: at(99), Max: at(100), N: len(all)}
}

func (b *bench) storm(ctx context.Context) error {
	b.say("storm")
	storm, err := measure.MakeStorm(ctx, b.cluster, b.clients, b.profiles, &b.scale)
	if err != nil {
		return err
	}
	b.figures.StormWorkloads, b.figures.StormWritingSeconds = number(float64(storm.Workloads)), number(storm.Writing.Seconds())
	b.figures.StormSeconds, b.figures.StormWritesPerSecond = number(storm.Behind.Seconds()), number(float64(storm.WritesPerSecond))
	b.say(fmt.Sprintf("%d workloads changed within %.1f s; every profile was right %.2f s after the last; at most %d writes a second of one profile, %d in all",
		storm.Workloads, storm.Writing.Seconds(), storm.Behind.Seconds(), storm.WritesPerSecond, storm.Writes))
	memory, err := b.operator.Memory()
	if err != nil {
		return err
	}
	b.figures.RSSAfterLoadMiB = number(memory.Now)
	return nil
}

func (b *bench) changeCertificates(ctx context.Context) error {
	ruled, err := measure.ChangeCertificates(ctx, b.clients, b.operator, &b.scale, 100)
	if err != nil {
		return err
	}
	b.figures.RuleMicroseconds, b.figures.SlowRuleMicroseconds = number(microseconds(ruled.Rule)), number(microseconds(ruled.SlowRule))
	b.say(fmt.Sprintf("a change of a Certificate came to its outcomes after %.0f µs of rules on average; 99 of 100 rules took at most %.0f µs",
		microseconds(ruled.Rule), microseconds(ruled.SlowRule)))
	return nil
}

func (b *bench) grow(ctx context.Context) error {
	b.say(fmt.Sprintf("%d further Deployments", b.scale.Further))
	growth, err := measure.Grow(ctx, b.clients, b.operator, &b.scale)
	if err != nil {
		return err
	}
	b.figures.BytesPerWorkload, b.figures.LiveHeapMiB = number(growth.PerWorkload), number(growth.LiveHeap)
	b.say(fmt.Sprintf("live heap %.1f MiB before, %.0f bytes for each", growth.LiveHeap, growth.PerWorkload))
	return nil
}

// check measures what looks once. The operator is stopped before, so that nothing shares the machine with it.
func (b *bench) check(ctx context.Context) error {
	if !b.keep {
		b.stopOperator()
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b.say(fmt.Sprintf("one-shot check, and the lists that it needs, %d times each", b.runs))
	shot, err := measure.CheckOnce(ctx, b.cluster, b.program, self, b.runs)
	if err != nil {
		return err
	}
	b.figures.CheckSeconds, b.figures.CheckPeakMiB, b.figures.ListFloorSeconds =
		number(shot.Check.Took.Seconds()), number(shot.Check.Peak), number(shot.Floor.Took.Seconds())
	b.say(fmt.Sprintf("check %.2f s with %.0f MiB; lists %.2f s with %.0f MiB, %s", shot.Check.Took.Seconds(), shot.Check.Peak,
		shot.Floor.Took.Seconds(), shot.Floor.Peak, strings.TrimSpace(string(shot.Floor.Stdout))))
	if b.skipPreflight {
		return nil
	}
	b.say("preflight")
	ran, cut, err := measure.Preflight(ctx, b.cluster, b.preflight, shot.Checked, filepath.Dir(b.out), b.patience)
	if err != nil {
		return err
	}
	b.figures.PreflightSeconds, b.figures.PreflightPeakMiB, b.figures.PreflightCutShort = number(ran.Took.Seconds()), number(ran.Peak), cut
	b.say(fmt.Sprintf("preflight %s%.1f s with %.0f MiB; it is written down in %s", choose(cut, "was not done after ", ""), ran.Took.Seconds(),
		ran.Peak, filepath.Join(filepath.Dir(b.out), "bench-preflight.txt")))
	return nil
}

// profile fetches profiles of the operator's CPU, for a while, and then of its heap, where they are asked for.
func (b *bench) profile(ctx context.Context, when string, span time.Duration) error {
	if b.pprof == "" {
		return nil
	}
	if err := os.MkdirAll(b.pprof, 0o755); err != nil {
		return err
	}
	for _, p := range []struct{ file, name string }{
		{"cpu", fmt.Sprintf("profile?seconds=%d", max(1, int(span.Seconds())))},
		{"heap", "heap?gc=1"},
		{"goroutines", "goroutine"},
	} {
		data, err := b.operator.Profile(ctx, p.name)
		if err != nil {
			return fmt.Errorf("fetching a profile: %w", err)
		}
		if err := os.WriteFile(filepath.Join(b.pprof, when+"-"+p.file+".pprof"), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// profileStart fetches profiles of the operator's first ten seconds, from when it listens.
func (b *bench) profileStart(ctx context.Context) error {
	if b.pprof == "" {
		return nil
	}
	for end := time.Now().Add(10 * time.Second); ; {
		if _, err := b.operator.Profile(ctx, "cmdline"); err == nil {
			return b.profile(ctx, "start", 10*time.Second)
		} else if time.Now().After(end) {
			return fmt.Errorf("the operator serves no profiles: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (b *bench) report() error {
	b.figures.Machine.LoadAtEnd = load()
	b.figures.Judge()
	if err := b.figures.Write(b.out); err != nil {
		return err
	}
	b.say("the figures are in " + b.out)
	fmt.Println()
	if err := b.figures.Table(os.Stdout); err != nil {
		return err
	}
	if n := len(b.figures.Failed); n > 0 {
		return fmt.Errorf("%d of the figures could not be measured", n)
	}
	return nil
}

func (b *bench) stopOperator() {
	if b.operator != nil {
		b.operator.Stop()
		b.operator = nil
	}
}

// lastWords is the end of the operator's log.
func (b *bench) lastWords() error {
	data, err := os.ReadFile(b.operator.Log)
	if err != nil {
		return err
	}
	return fmt.Errorf("the operator's log ends with:\n%s", data[max(0, len(data)-2000):])
}

func (b *bench) failed(what string, err error) {
	b.figures.Failed = append(b.figures.Failed, fmt.Sprintf("%s: %v", what, err))
	b.say(fmt.Sprintf("%s could not be measured: %v", what, err))
}

// say prints a line of progress.
func (b *bench) say(line string) {
	fmt.Printf("[%5.1f s] %s\n", time.Since(b.begun).Seconds(), line)
}

func load() string {
	data, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(data))
	return strings.Join(fields[:min(1, len(fields))], "")
}

func number(n float64) *float64            { return &n }
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
