// Command bench measures the operator on a cluster of the size that Kubernetes supports: what it takes to start, to be
// quiet, to follow changes and storms, and to look once, beside a plain list of the same kinds and beside troubleshoot's
// preflight. etcd and kube-apiserver are real; nodes, pods and rollouts are statuses that it writes itself.
//
// It writes bin/bench.json and a table, and removes everything that it started.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"github.com/platformprofile/platformprofile/hack/bench/fill"
	"github.com/platformprofile/platformprofile/hack/bench/measure"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// options are the flags.
type options struct {
	scale           fill.Scale
	out             string
	operatorProgram string
	program         string
	preflight       string
	keep            bool
	pprof           string
	quiet           time.Duration
	changes         time.Duration
	rate            float64
	runs            int
	skipPreflight   bool
	patience        time.Duration
}

func main() {
	// client-go logs requests that are cancelled.
	klog.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the program at once; what it started ends with it.
	context.AfterFunc(ctx, stop)
	err := dispatch(ctx, os.Args[1:])
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func dispatch(ctx context.Context, args []string) error {
	// The floor is measured as the check is: as a process of its own.
	if len(args) == 3 && args[0] == "floor" {
		n, err := measure.Floor(ctx, args[1], args[2])
		fmt.Println(n, "objects")
		return err
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	return run(ctx, o)
}

func parse(args []string) (*options, error) {
	bin := filepath.Join(cluster.Root(), "bin")
	o := &options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	o.scale.Flags(f)
	f.StringVar(&o.out, "out", filepath.Join(bin, "bench.json"), "file for the figures")
	f.StringVar(&o.operatorProgram, "operator", filepath.Join(bin, "operator"), "the operator to measure")
	f.StringVar(&o.program, "program", filepath.Join(bin, "platformprofile"), "the command line to measure")
	f.StringVar(&o.preflight, "preflight", filepath.Join(bin, "preflight"), "troubleshoot's preflight")
	f.BoolVar(&o.skipPreflight, "skip-preflight", false, "do not run preflight, which takes long")
	f.BoolVar(&o.keep, "keep", false, "keep the cluster and the operator running after the figures, until Ctrl-C")
	f.StringVar(&o.pprof, "pprof", "", "folder for CPU and heap profiles of the operator, idle and under load")
	f.DurationVar(&o.quiet, "quiet", 0, "how long to measure the idle operator (default 60s, 10s below scale 0.5)")
	f.DurationVar(&o.changes, "changes", 0, "how long to make changes (default 30s, 10s below scale 0.5)")
	f.Float64Var(&o.rate, "rate", 0, "changes a second (default 2.5 for each profile: 50 at scale 1)")
	f.IntVar(&o.runs, "runs", 0, "how often to run the check and the list; the median counts (default 5, 3 below scale 0.5)")
	f.DurationVar(&o.patience, "preflight-patience", 10*time.Minute, "timeout of preflight, which then counts as its duration")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected arguments: %v", f.Args())
	}
	if err := o.scale.Settle(); err != nil {
		return nil, err
	}
	// preflight runs in another folder.
	for _, path := range []*string{&o.out, &o.operatorProgram, &o.program, &o.preflight} {
		var err error
		if *path, err = filepath.Abs(*path); err != nil {
			return nil, err
		}
	}
	large := o.scale.Factor >= 0.5
	if o.quiet == 0 {
		o.quiet = choose(large, time.Minute, 10*time.Second)
	}
	if o.changes == 0 {
		o.changes = choose(large, 30*time.Second, 10*time.Second)
	}
	if o.runs == 0 {
		o.runs = choose(large, 5, 3)
	}
	if o.rate == 0 {
		o.rate = 2.5 * float64(o.scale.Profiles)
	}
	if o.rate < 0 || o.runs < 1 || o.quiet < 0 || o.changes < 0 {
		return nil, errors.New("--rate, --runs, --quiet and --changes must be above 0")
	}
	for _, path := range []string{o.operatorProgram, o.program} {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("the programs are not built (run 'make build'): %w", err)
		}
	}
	return o, nil
}

func choose[T any](condition bool, yes, no T) T {
	if condition {
		return yes
	}
	return no
}
