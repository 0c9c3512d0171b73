// Command controlplane runs a real Kubernetes control plane on this machine:
// etcd, kube-apiserver, kube-controller-manager and kube-scheduler, with KWOK
// in place of kubelets. The tests, the demo and the benchmarks of
// PlatformProfile use it, because they need what an API server alone does not
// have: controllers that roll out Deployments, garbage collection, volumes
// that bind, and nodes that are Ready.
//
// Everything is built from the Go modules pinned in this module's go.mod, so
// that neither a container runtime nor a download of binaries is needed. The
// program itself uses the standard library only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const usage = `controlplane runs a local Kubernetes control plane for tests, demo and benchmarks.

Usage:

  controlplane build   [--out DIR] [--node]          build the binaries once, skip what is up to date;
                                                     --node: those of a real node too
  controlplane run     --dir DIR [flags]             run in the foreground until Ctrl-C
  controlplane up      --dir DIR [flags]             run in the background, return when ready
  controlplane down    --dir DIR [--purge]           stop what "up" or "run" started
  controlplane status  --dir DIR                     show what runs; exit code 0 only when healthy
  controlplane start|stop|kill|restart|pause|cont --dir DIR COMPONENT
                                                     act on one component, for fault tests
  controlplane load    --dir DIR --name IMAGE PROGRAM
                                                     give the real node an image of one static program
  controlplane load    --dir DIR ARCHIVE             give the real node the images of an archive

COMPONENT is one of etcd, kube-apiserver, kube-controller-manager (controllers),
kube-scheduler (scheduler) and kwok; with --real-node also machine, containerd and kubelet.

Where KUBEBUILDER_ASSETS is set, the kube-apiserver, etcd and kubectl in that
directory are used in place of the ones that "build" makes.

Run "controlplane COMMAND -h" for the flags of a command.
`

// errUsage marks a mistake in the command line that was already explained.
var errUsage = errors.New("usage")

func main() {
	err := dispatch(os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
}

func dispatch(args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return errUsage
	}
	command, args := args[0], args[1:]
	switch command {
	case "build":
		return buildCommand(args, stderr)
	case "run":
		return runCommand(args, stdout, stderr)
	case "up":
		return upCommand(args, stdout, stderr)
	case "down":
		return downCommand(args, stderr)
	case "status":
		return statusCommand(args, stdout, stderr)
	case "start", "stop", "kill", "restart", "pause", "cont":
		return componentCommand(command, args, stderr)
	case "load":
		return loadCommand(args, stderr)
	case "hold":
		return hold()
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
		return nil
	}
	fmt.Fprintf(stderr, "controlplane: unknown command %q\n\n%s", command, usage)
	return errUsage
}

// terminationContext ends when the user or the system asks the program to
// stop. A second request is left to the default, so that an impatient Ctrl-C
// ends the program at once (the kernel then takes the components with it).
func terminationContext() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

func buildCommand(args []string, stderr io.Writer) error {
	flags := newFlagSet("build", stderr)
	out := flags.String("out", "", "directory for the binaries (default: bin/k8s of the repository)")
	node := flags.Bool("node", false, "also what a real node needs: kubelet, containerd and CNI plugins (Linux only)")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	ctx, stop := terminationContext()
	defer stop()
	return build(ctx, *out, *node, stderr)
}

func runCommand(args []string, stdout, stderr io.Writer) error {
	opts, err := parseRunOptions("run", args, stderr)
	if err != nil {
		return err
	}
	ctx, stop := terminationContext()
	defer stop()
	return run(ctx, opts, stdout, stderr)
}

func upCommand(args []string, stdout, stderr io.Writer) error {
	opts, err := parseRunOptions("up", args, stderr)
	if err != nil {
		return err
	}
	ctx, stop := terminationContext()
	defer stop()
	return up(ctx, opts, stdout, stderr)
}

func downCommand(args []string, stderr io.Writer) error {
	flags := newFlagSet("down", stderr)
	dir := dirFlag(flags)
	purge := flags.Bool("purge", false, "delete the directory as well")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	abs, err := instanceDir(*dir)
	if err != nil {
		return err
	}
	return down(abs, *purge, stderr)
}

func statusCommand(args []string, stdout, stderr io.Writer) error {
	flags := newFlagSet("status", stderr)
	dir := dirFlag(flags)
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	abs, err := instanceDir(*dir)
	if err != nil {
		return err
	}
	return status(abs, stdout)
}

func componentCommand(verb string, args []string, stderr io.Writer) error {
	flags := newFlagSet(verb, stderr)
	dir := dirFlag(flags)
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	abs, err := instanceDir(*dir)
	if err != nil {
		return err
	}
	name, err := componentName(flags.Arg(0))
	if err != nil {
		return err
	}
	st, err := readState(abs)
	if err != nil {
		return err
	}
	_, err = sendControl(st.Socket, verb+" "+name)
	return err
}

// runOptions are the flags of "run" and "up".
type runOptions struct {
	dir           string
	bin           string
	nodes         int
	realNode      bool
	without       []string
	audit         bool
	apiserverArgs []string
	verbose       bool
	timeout       time.Duration
}

func parseRunOptions(command string, args []string, stderr io.Writer) (runOptions, error) {
	opts := runOptions{}
	flags := newFlagSet(command, stderr)
	dir := dirFlag(flags)
	flags.StringVar(&opts.bin, "bin", "", "directory with the binaries (default: bin/k8s of the repository)")
	flags.IntVar(&opts.nodes, "nodes", 3, "number of nodes that KWOK plays")
	flags.BoolVar(&opts.realNode, "real-node", false, "also a node with a real kubelet and containerd (Linux, root)")
	flags.Func("without", "component to leave out: kwok, controllers or scheduler (repeatable, or comma separated)", func(s string) error {
		for name := range strings.SplitSeq(s, ",") {
			full, err := componentName(name)
			if err != nil {
				return err
			}
			if full == etcdName || full == apiserverName || slices.Contains(realNodeNames, full) {
				return fmt.Errorf("%s cannot be left out", full)
			}
			if !slices.Contains(opts.without, full) {
				opts.without = append(opts.without, full)
			}
		}
		return nil
	})
	flags.BoolVar(&opts.audit, "audit", false, "write every request to audit.log, at level Metadata, before it is answered")
	flags.Func("apiserver-arg", "further `flag=value` for kube-apiserver, without the dashes (repeatable)", func(s string) error {
		if key, _, ok := strings.Cut(s, "="); !ok || strings.TrimLeft(key, "-") == "" {
			return errors.New("want flag=value")
		}
		opts.apiserverArgs = append(opts.apiserverArgs, strings.TrimLeft(s, "-"))
		return nil
	})
	flags.BoolVar(&opts.verbose, "verbose", false, "show command lines and let the components log more")
	flags.DurationVar(&opts.timeout, "timeout", 2*time.Minute, "how long the start may take")
	if err := parse(flags, args, 0); err != nil {
		return runOptions{}, err
	}
	if opts.nodes < 0 || opts.nodes > 250 {
		return runOptions{}, fmt.Errorf("--nodes=%d: want 0 to 250", opts.nodes)
	}
	var err error
	opts.dir, err = instanceDir(*dir)
	return opts, err
}

// leavesOut tells whether a component is not to be started.
func (o runOptions) leavesOut(name string) bool { return slices.Contains(o.without, name) }

// args gives the options back as the flags of "run".
func (o runOptions) args() []string {
	args := []string{
		"--dir=" + o.dir,
		fmt.Sprintf("--nodes=%d", o.nodes),
		fmt.Sprintf("--real-node=%t", o.realNode),
		fmt.Sprintf("--audit=%t", o.audit),
		fmt.Sprintf("--verbose=%t", o.verbose),
		"--timeout=" + o.timeout.String(),
	}
	if o.bin != "" {
		args = append(args, "--bin="+o.bin)
	}
	for _, name := range o.without {
		args = append(args, "--without="+name)
	}
	for _, arg := range o.apiserverArgs {
		args = append(args, "--apiserver-arg="+arg)
	}
	return args
}

func newFlagSet(command string, stderr io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet("controlplane "+command, flag.ContinueOnError)
	flags.SetOutput(stderr)
	return flags
}

func dirFlag(flags *flag.FlagSet) *string {
	return flags.String("dir", "", "directory of this control plane: its data, keys and logs (required)")
}

// parse reads flags and exactly want other arguments, in any order.
func parse(flags *flag.FlagSet, args []string, want int) error {
	var positional []string
	for {
		if err := flags.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return err
			}
			return errUsage // flag has printed what is wrong
		}
		if flags.NArg() == 0 {
			break
		}
		positional = append(positional, flags.Arg(0))
		args = flags.Args()[1:]
	}
	if len(positional) != want {
		fmt.Fprintf(flags.Output(), "%s: want %d argument(s), got %q\n", flags.Name(), want, positional)
		return errUsage
	}
	return flags.Parse(append([]string{"--"}, positional...))
}

func instanceDir(dir string) (string, error) {
	if dir == "" {
		return "", errors.New("--dir is required")
	}
	return filepath.Abs(dir)
}
