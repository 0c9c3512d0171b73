package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
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
	err := command.Start()
	peak := make(chan float64, 1)
	if err == nil {
		ended := make(chan struct{})
		go func() { peak <- peakOf(command.Process.Pid, ended) }()
		err = command.Wait()
		close(ended)
	}
	r := Run{Took: time.Since(begun), Stdout: out.Bytes(), Stderr: errOut.Bytes()}
	if command.ProcessState != nil {
		r.Peak = <-peak
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && slices.Contains(ok, exit.ExitCode()) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("%s %v: %w: %.2000s", program, args, err, errOut.String())
	}
	return r, err
}

// peakOf is the most memory that a process took until just before it ended. What the kernel tells of one that has ended counts
// what its parent took, of which it was a copy for a moment.
func peakOf(pid int, ended <-chan struct{}) float64 {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	peak := 0.0
	for {
		if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
			if memory, err := parseMemory(string(status)); err == nil {
				peak = max(peak, memory.Peak)
			}
		}
		select {
		case <-ended:
			return peak
		case <-ticker.C:
		}
	}
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
