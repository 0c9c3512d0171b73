package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// spawner starts processes from one operating system thread that lives as long
// as the program. On Linux a child's parent death signal is sent when the
// thread that made it ends, not the process; and Go ends threads as it likes.
type spawner struct {
	requests chan func()
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan func())}
	go func() {
		runtime.LockOSThread() // never unlocked
		for request := range s.requests {
			request()
		}
	}()
	return s
}

func (s *spawner) start(cmd *exec.Cmd) error {
	result := make(chan error)
	s.requests <- func() { result <- cmd.Start() }
	return <-result
}

// process is a component's process.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	// state and err tell how it ended; only to be read after done.
	state *os.ProcessState
	err   error
}

// startProcess runs a program with its output appended to a log file.
func startProcess(s *spawner, bin string, args, env []string, dir, log string, attributes *syscall.SysProcAttr) (*process, error) {
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer output.Close() // the child has its own
	cmd := exec.Command(bin, args...)
	cmd.Dir = dir
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = attributes
	if err := s.start(cmd); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		p.state = cmd.ProcessState
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// signal reaches the whole process group, which startProcess made.
func (p *process) signal(sig syscall.Signal) error {
	select {
	case <-p.done:
		return os.ErrProcessDone
	default:
		return syscall.Kill(-p.pid(), sig)
	}
}

// terminate asks the process to end and kills it when it takes too long.
func (p *process) terminate(grace time.Duration) {
	_ = p.signal(syscall.SIGTERM)
	_ = p.signal(syscall.SIGCONT) // a paused process does not see SIGTERM
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.kill()
	}
}

func (p *process) kill() {
	_ = p.signal(syscall.SIGKILL)
	<-p.done
}

// component is one program of the control plane and, while it runs, its
// process. It can be stopped and started any number of times.
type component struct {
	name string
	port int // 0 where it serves nothing
	log  string
	bin  string
	args []string
	// env comes on top of what all components have.
	env []string
	// inside is the component whose namespaces this one runs in; nil for those of this program.
	inside *component
	// attributes start the process; nil for childAttributes.
	attributes func() *syscall.SysProcAttr
	// ready succeeds once the component does its work.
	ready probe

	mu      sync.Mutex
	proc    *process
	wanted  bool // its end would be a failure
	paused  bool
	operate sync.Mutex // one start, stop, … at a time
}

// start starts the process unless it runs. died is called when it ends without
// having been stopped on purpose.
func (c *component) start(s *spawner, env []string, dir string, died func(*component, *process)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runningLocked() {
		return nil
	}
	bin, args, attributes := c.bin, c.args, childAttributes()
	if c.attributes != nil {
		attributes = c.attributes()
	}
	if c.inside != nil {
		entered, err := c.inside.enter(bin, args)
		if err != nil {
			return fmt.Errorf("starting %s: %w", c.name, err)
		}
		bin, args = entered[0], entered[1:]
	}
	proc, err := startProcess(s, bin, args, slices.Concat(env, c.env), dir, c.log, attributes)
	if err != nil {
		return fmt.Errorf("starting %s: %w", c.name, err)
	}
	c.proc, c.wanted, c.paused = proc, true, false
	go func() {
		<-proc.done
		c.mu.Lock()
		unexpected := c.wanted && c.proc == proc
		c.mu.Unlock()
		if unexpected {
			died(c, proc)
		}
	}()
	return nil
}

// stop ends the process on purpose; a grace of 0 kills it.
func (c *component) stop(grace time.Duration) {
	c.mu.Lock()
	proc := c.proc
	c.wanted, c.paused = false, false
	c.mu.Unlock()
	switch {
	case proc == nil:
	case grace > 0:
		proc.terminate(grace)
	default:
		proc.kill()
	}
}

// pause stops the process from running without ending it, as a machine that
// hangs would; cont lets it go on.
func (c *component) pause(pause bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.runningLocked() {
		return fmt.Errorf("%s does not run", c.name)
	}
	sig := syscall.SIGCONT
	if pause {
		sig = syscall.SIGSTOP
	}
	if err := c.proc.signal(sig); err != nil {
		return err
	}
	c.paused = pause
	return nil
}

// condition returns the process id (0 where nothing runs) and a word for
// people.
func (c *component) condition() (pid int, word string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.runningLocked():
		return 0, "stopped"
	case c.paused:
		return c.proc.pid(), "paused"
	}
	return c.proc.pid(), "running"
}

func (c *component) runningLocked() bool {
	if c.proc == nil {
		return false
	}
	select {
	case <-c.proc.done:
		return false
	default:
		return true
	}
}
