package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"
)

// up starts "run" in a session of its own and returns when it is ready.
func up(ctx context.Context, opts runOptions, stdout, stderr io.Writer) error {
	progress := newProgress(stderr)
	running, err := locked(opts.dir)
	if err != nil {
		return err
	}
	if running {
		return joinRunning(ctx, opts, progress, stdout)
	}

	logs := filepath.Join(opts.dir, "logs")
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return err
	}
	path := filepath.Join(logs, "controlplane.log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe, append([]string{"run"}, opts.args()...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	// The runner's own progress is the best there is to show.
	reader, err := os.Open(path)
	if err != nil {
		return err
	}
	defer reader.Close()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		// The log of a failed run is shown in full, and never after the error.
		var result error
		select {
		case err := <-ended:
			result = fmt.Errorf("the control plane did not start (%w); see above and %s", orUnexpected(err), logs)
		case <-ctx.Done():
			_ = cmd.Process.Signal(syscall.SIGTERM)
			<-ended //nolint:errcheck // it was interrupted, however it ended
			result = errors.New("interrupted")
		case <-ticker.C:
		}
		if _, err := io.Copy(stderr, reader); err != nil {
			return err
		}
		if result != nil {
			return result
		}
		if st, err := readState(opts.dir); err == nil && st.PID == cmd.Process.Pid && st.Phase == phaseReady {
			fmt.Fprintln(stdout, readyLine(st.Kubeconfig))
			return nil
		}
	}
}

func orUnexpected(err error) error {
	if err == nil {
		return errors.New("it ended without an error")
	}
	return err
}

// joinRunning waits for the control plane that is already in the directory.
func joinRunning(ctx context.Context, opts runOptions, progress *progress, stdout io.Writer) error {
	ctx, cancel := context.WithTimeoutCause(ctx, opts.timeout, fmt.Errorf("not ready after %s", opts.timeout))
	defer cancel()
	progress.printf("a control plane already runs in %s", opts.dir)
	var st state
	err := poll(ctx, func(ctx context.Context) error {
		var err error
		if st, err = readState(opts.dir); err != nil {
			return err
		}
		if st.Phase != phaseReady {
			return fmt.Errorf("it is %s", st.Phase)
		}
		api, err := st.client()
		if err != nil {
			return err
		}
		return api.probe("/readyz")(ctx)
	})
	if err != nil {
		return fmt.Errorf("the control plane in %s is not healthy: %w", opts.dir, err)
	}
	progress.printf("it is healthy")
	fmt.Fprintln(stdout, readyLine(st.Kubeconfig))
	return nil
}

// client speaks to the API server as the administrator.
func (st state) client() (*apiClient, error) {
	keys := pki{dir: filepath.Dir(st.CAFile)}
	return newAPIClient(st.Server, st.CAFile, keys.cert(adminUser), keys.key(adminUser))
}

// down stops the control plane in a directory.
func down(dir string, purge bool, stderr io.Writer) error {
	progress := newProgress(stderr)
	running, err := locked(dir)
	if err != nil {
		return err
	}
	if running {
		if err := stopRunner(dir, progress); err != nil {
			return err
		}
		progress.printf("stopped the control plane in %s", dir)
	} else {
		progress.printf("no control plane runs in %s", dir)
	}
	settings{dir: dir}.cleanRealNode() // a runner that was killed did not
	if !purge {
		return nil
	}
	// Only what this program has made is deleted, whatever --dir says.
	if _, err := os.Stat(lockPath(dir)); err != nil {
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("%s is not the directory of a control plane; not deleted", dir)
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	progress.printf("deleted %s", dir)
	return nil
}

// stopRunner asks the runner to end, and kills it when it does not. Its end is
// the moment when its lock is free.
func stopRunner(dir string, progress *progress) error {
	st, err := readState(dir)
	if err != nil {
		return err
	}
	if !st.alive() {
		return fmt.Errorf("%s is locked, but its state names no living process (pid %d): still starting? try again", dir, st.PID)
	}
	attempts := []struct {
		sig  syscall.Signal
		wait time.Duration
	}{
		// Each component may take stopGrace.
		{syscall.SIGTERM, time.Duration(len(componentNames)+len(realNodeNames))*stopGrace + 5*time.Second},
		{syscall.SIGKILL, 5 * time.Second},
	}
	for _, attempt := range attempts {
		if err := syscall.Kill(st.PID, attempt.sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), attempt.wait)
		err = poll(ctx, func(context.Context) error {
			if running, err := locked(dir); err != nil || running {
				return errors.Join(errLocked, err)
			}
			return nil
		})
		cancel()
		if err == nil {
			return nil
		}
		progress.printf("process %d still runs %s after %s", st.PID, attempt.wait, attempt.sig)
	}
	return err
}

// status prints what runs in a directory. The error says what is wrong.
func status(dir string, stdout io.Writer) error {
	st, err := readState(dir)
	if err != nil {
		return err
	}
	running, err := locked(dir)
	if err != nil {
		return err
	}
	phase := st.Phase
	if !running {
		phase = phaseStopped
	}
	fmt.Fprintf(stdout, "%s: %s, pid %d, Kubernetes %s, %d nodes, kubeconfig %s\n",
		dir, phase, st.PID, st.Versions["kubernetes"], st.Nodes, st.Kubeconfig)
	if !running {
		return errors.New("not running")
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "COMPONENT\tSTATE\tPID\tPORT\tLOG")
	for _, name := range slices.Concat(componentNames, realNodeNames) {
		c, ok := st.Components[name]
		if !ok {
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\n", name, c.State, c.PID, c.Port, c.Log)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	api, err := st.client()
	if err != nil {
		return err
	}
	if err := api.probe("/readyz")(context.Background()); err != nil {
		return fmt.Errorf("API server: %w", err)
	}
	if phase != phaseReady {
		return fmt.Errorf("it is %s", phase)
	}
	return nil
}
