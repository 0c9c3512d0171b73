package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// Run is one run of a program.
type Run struct {
	Took time.Duration
	// Peak is the most memory that it took, in MiB.
	Peak   float64
	Stdout []byte
	Stderr []byte
}

// run runs a program to its end, in a folder. Exit codes other than those given are an error.
func run(ctx context.Context, folder string, env []string, ok []int, program string, args ...string) (Run, error) {
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = folder
	command.Env = append(os.Environ(), env...)
	var out, errOut bytes.Buffer
	command.Stdout, command.Stderr = &out, &errOut
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 5 * time.Second
	begun := time.Now()
	err := command.Run()
	r := Run{Took: time.Since(begun), Stdout: out.Bytes(), Stderr: errOut.Bytes()}
	var exit *exec.ExitError
	if errors.As(err, &exit) && slices.Contains(ok, exit.ExitCode()) {
		err = nil
	}
	if usage, is := command.ProcessState.SysUsage().(*syscall.Rusage); is {
		r.Peak = float64(usage.Maxrss) / 1024
	}
	if err != nil {
		err = fmt.Errorf("%s %v: %w: %.2000s", program, args, err, errOut.String())
	}
	return r, err
}

// median runs something some times and returns the run of the median time.
func median(times int, do func() (Run, error)) (Run, error) {
	runs := make([]Run, 0, times)
	for range times {
		r, err := do()
		if err != nil {
			return r, err
		}
		runs = append(runs, r)
	}
	slices.SortFunc(runs, func(a, b Run) int { return int(a.Took - b.Took) })
	return runs[len(runs)/2], nil
}
