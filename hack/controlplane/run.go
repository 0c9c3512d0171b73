package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// stopGrace is how long a component may take to end by itself.
const stopGrace = 3 * time.Second

// instance is a control plane that this program runs.
type instance struct {
	settings
	progress   *progress
	spawner    *spawner
	env        []string
	components map[string]*component

	// fail ends the run with a reason.
	fail context.CancelCauseFunc

	mu    sync.Mutex // guards state
	state state
}

// errStopped is why a run ends that was asked to.
var errStopped = errors.New("stopped")

// deathError says that a component ended by itself.
type deathError struct {
	component string
	how       string
	log       string
	tail      string
}

func (e *deathError) Error() string {
	return fmt.Sprintf("%s died (%s); the end of %s:\n%s", e.component, e.how, e.log, e.tail)
}

// run starts a control plane, says when it is ready, and keeps it until ctx
// ends or a component dies.
func run(ctx context.Context, opts runOptions, stdout, stderr io.Writer) error {
	in := &instance{progress: newProgress(stderr), spawner: newSpawner(), env: componentEnvironment(opts.dir)}

	var err error
	bin, err := binaryDir(opts.bin)
	if err != nil {
		return err
	}
	// Missing binaries are the most likely mistake: say so before a directory
	// is made.
	stages, err := findStages(bin)
	if err != nil {
		return err
	}
	for _, name := range componentNames {
		if _, err := findBinary(bin, name); err != nil {
			return err
		}
	}
	if opts.realNode {
		if err := checkRealNode(bin); err != nil {
			return err
		}
	}

	logs := filepath.Join(opts.dir, "logs")
	for _, dir := range []string{
		opts.dir, logs, filepath.Join(opts.dir, "kubeconfigs"), filepath.Join(opts.dir, "apiserver"),
		filepath.Join(opts.dir, "etcd"),
	} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	unlock, err := lockInstance(ctx, opts.dir)
	if err != nil {
		return err
	}
	defer unlock()

	in.settings = settings{dir: opts.dir, bin: bin, options: opts, stages: stages, keys: pki{dir: filepath.Join(opts.dir, "pki")}}
	releasePorts, err := in.leasePorts()
	if err != nil {
		return err
	}
	defer releasePorts()
	if err := in.prepare(); err != nil {
		return err
	}

	runCtx, fail := context.WithCancelCause(context.WithoutCancel(ctx))
	defer fail(nil)
	in.fail = fail
	defer context.AfterFunc(ctx, func() { fail(errStopped) })()

	control, err := listenControl(opts.dir, func(line string) (string, error) { return in.control(runCtx, line) })
	if err != nil {
		return err
	}
	defer control.close()
	if err := in.begin(control.path); err != nil {
		return err
	}
	go control.serve()

	defer in.stopAll()
	startCtx, cancel := context.WithTimeoutCause(runCtx, opts.timeout,
		fmt.Errorf("not ready after %s", opts.timeout))
	err = in.startAll(startCtx)
	cancel()
	if err != nil {
		return in.explain(runCtx, err)
	}
	if err := in.update(func(st *state) {
		st.Phase = phaseReady
		st.ReadySeconds = time.Since(in.progress.start).Seconds()
	}); err != nil {
		return err
	}
	in.progress.printf("ready; stop with Ctrl-C or: controlplane down --dir %s", opts.dir)
	fmt.Fprintln(stdout, readyLine(in.kubeconfig(adminUser)))

	<-runCtx.Done()
	if cause := context.Cause(runCtx); !errors.Is(cause, errStopped) {
		return cause
	}
	return nil
}

func readyLine(kubeconfig string) string { return "ready kubeconfig=" + kubeconfig }

// lockInstance makes this process the owner of the directory. It tries for a
// moment, because "status" and "up" take the lock for an instant to see
// whether somebody has it.
func lockInstance(ctx context.Context, dir string) (func(), error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	unlock, err := waitLock(ctx, lockPath(dir))
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("a control plane already runs in %s", dir)
	}
	return unlock, err
}

// componentEnvironment is the same on every machine: no proxy gets between the
// components, and none reads the user's kubeconfig or KWOK configuration.
func componentEnvironment(dir string) []string {
	env := []string{"HOME=" + dir}
	for _, name := range []string{"PATH", "TMPDIR", "TZ", "GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GODEBUG"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// leasePorts leases the ports of a former run in this directory where they are
// free, so that kubeconfigs stay valid.
func (in *instance) leasePorts() (release func(), err error) {
	former := map[string]int{}
	if st, err := readState(in.dir); err == nil {
		for name, component := range st.Components {
			former[name] = component.Port
		}
	}
	var leases []*portLease
	release = func() {
		for _, lease := range leases {
			lease.release()
		}
	}
	in.ports = map[string]int{}
	ports := []string{etcdName, etcdPeer, apiserverName, controllersName, schedulerName}
	if in.options.realNode {
		ports = append(ports, kubeletName)
	}
	for _, name := range ports {
		lease, err := leasePort(former[name])
		if err != nil {
			release()
			return nil, err
		}
		leases = append(leases, lease)
		in.ports[name] = lease.port
	}
	return release, nil
}

// prepare writes the files that the components read.
func (in *instance) prepare() error {
	if err := in.keys.prepare(); err != nil {
		return err
	}
	for _, u := range users {
		if err := writeKubeconfig(in.kubeconfig(u.file), in.url(apiserverName), in.keys, u); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(in.dir, "audit-policy.yaml"), []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	var err error
	if in.api, err = in.client(in.url(apiserverName)); err != nil {
		return err
	}
	in.etcd, err = newAPIClient(in.url(etcdName), in.keys.cert(etcdCA),
		in.keys.cert("apiserver-etcd-client"), in.keys.key("apiserver-etcd-client"))
	if err != nil {
		return err
	}
	in.components, err = in.settings.components()
	if err != nil {
		return err
	}
	// Logs (and the audit log, which tests count lines of) are of this run.
	if in.options.realNode {
		in.cleanRealNode() // what a run that was killed has left
		if err := in.prepareRealNode(); err != nil {
			return err
		}
	}
	for _, name := range in.options.names() {
		if err := os.WriteFile(in.log(name), nil, 0o600); err != nil {
			return err
		}
	}
	if err := os.Remove(in.auditLog()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// begin writes the first state.
func (in *instance) begin(socket string) error {
	started, err := processStart(os.Getpid())
	if err != nil {
		return err
	}
	in.state = state{
		Dir:        in.dir,
		PID:        os.Getpid(),
		PIDStart:   started,
		Phase:      phaseStarting,
		Started:    in.progress.start,
		Server:     in.url(apiserverName),
		Kubeconfig: in.kubeconfig(adminUser),
		CAFile:     in.keys.cert(clusterCA),
		Socket:     socket,
		Nodes:      in.options.nodes,
		Versions:   map[string]string{kwokName: readStamp(in.bin, kwokName).Version},
	}
	if in.without(kwokName) {
		in.state.Nodes = 0
	}
	if kubectl, err := findBinary(in.bin, "kubectl"); err == nil {
		in.state.Kubectl = kubectl
	}
	if in.options.audit {
		in.state.AuditLog = in.auditLog()
	}
	return in.update(func(*state) {})
}

// update changes the state, refreshes what it says of the components, and
// writes it.
func (in *instance) update(change func(*state)) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	change(&in.state)
	in.state.Components = map[string]componentState{
		etcdPeer: {Port: in.ports[etcdPeer], Log: in.log(etcdName), State: "part of etcd"},
	}
	for name, c := range in.components {
		pid, word := c.condition()
		in.state.Components[name] = componentState{PID: pid, Port: c.port, Log: c.log, State: word}
	}
	return in.state.write()
}

func (in *instance) without(name string) bool { return in.options.leavesOut(name) }

// startAll brings everything up in the order of the dependencies, and what
// does not depend on each other at the same time.
func (in *instance) startAll(ctx context.Context) error {
	for _, name := range []string{etcdName, apiserverName} {
		if err := in.start(ctx, name); err != nil {
			return err
		}
	}
	version, err := in.learnVersions(ctx)
	if err != nil {
		return err
	}

	tasks := map[string]func(context.Context) error{
		"StorageClass standard": func(ctx context.Context) error { return createStorageClass(ctx, in.api) },
	}
	for _, name := range []string{controllersName, schedulerName} {
		if in.without(name) {
			continue
		}
		tasks[name] = func(ctx context.Context) error { return in.start(ctx, name) }
	}
	controllers := !in.without(controllersName)
	if controllers {
		tasks["default service account"] = func(ctx context.Context) error { return waitForDefaultServiceAccount(ctx, in.api) }
	}
	if !in.without(kwokName) {
		tasks["nodes"] = func(ctx context.Context) error {
			if err := in.start(ctx, kwokName); err != nil {
				return err
			}
			if err := createNodes(ctx, in.api, in.options.nodes, version); err != nil {
				return err
			}
			if err := waitForNodes(ctx, in.api, in.options.nodes, controllers); err != nil {
				return err
			}
			in.progress.printf("%d nodes are Ready", in.options.nodes)
			return nil
		}
	}
	if in.options.realNode {
		tasks[realNodeName] = in.startRealNode
	}
	return parallel(ctx, tasks)
}

// parallel runs tasks at the same time and stops the others when one fails.
func parallel(ctx context.Context, tasks map[string]func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for name, task := range tasks {
		wg.Go(func() {
			if err := task(ctx); err != nil {
				cancel(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// start starts one component and waits until it is ready.
func (in *instance) start(ctx context.Context, name string) error {
	c := in.components[name]
	if in.options.verbose {
		in.progress.printf("%s %s", c.bin, strings.Join(c.args, " "))
	}
	if err := c.start(in.spawner, in.env, in.dir, in.died); err != nil {
		return err
	}
	if err := in.update(func(*state) {}); err != nil {
		return err
	}
	if err := poll(ctx, c.ready); err != nil {
		return fmt.Errorf("waiting for %s: %w", name, err)
	}
	if c.port != 0 {
		in.progress.printf("%s is ready on 127.0.0.1:%d", name, c.port)
	} else {
		in.progress.printf("%s is started", name)
	}
	return nil
}

// died ends the run because a component ended by itself.
func (in *instance) died(c *component, proc *process) {
	in.fail(&deathError{component: c.name, how: proc.state.String(), log: c.log, tail: tail(c.log, 20)})
}

// explain prefers the reason why everything ended (a component's death, a
// Ctrl-C) over the failed wait that came of it, and shows the log of the
// component that was waited for.
func (in *instance) explain(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, errStopped) {
		return errors.New("interrupted while starting")
	}
	if cause != nil {
		return cause
	}
	return fmt.Errorf("%w\nlogs are in %s", err, filepath.Join(in.dir, "logs"))
}

// learnVersions asks the running programs, which need not be the ones that
// "build" made, and returns the version of Kubernetes.
func (in *instance) learnVersions(ctx context.Context) (string, error) {
	var kubernetes struct {
		GitVersion string `json:"gitVersion"`
	}
	if err := in.api.do(ctx, http.MethodGet, "/version", nil, &kubernetes); err != nil {
		return "", fmt.Errorf("version of the API server: %w", err)
	}
	var etcd struct {
		Server string `json:"etcdserver"`
	}
	if err := in.etcd.do(ctx, http.MethodGet, "/version", nil, &etcd); err != nil {
		return "", fmt.Errorf("version of etcd: %w", err)
	}
	return kubernetes.GitVersion, in.update(func(st *state) {
		st.Versions["kubernetes"] = kubernetes.GitVersion
		st.Versions[etcdName] = "v" + etcd.Server
	})
}

// stopAll ends the components in the opposite order of their start: none sees
// what it depends on go away first, which would fill its log with errors.
func (in *instance) stopAll() {
	for _, name := range slices.Backward(in.options.names()) {
		c := in.components[name]
		c.operate.Lock()
		if pid, _ := c.condition(); pid != 0 {
			c.stop(stopGrace)
			in.progress.printf("%s is stopped", name)
		}
		// operate stays locked: nothing starts a component from here on.
	}
	in.cleanRealNode()
	if err := in.update(func(st *state) { st.Phase = phaseStopped }); err != nil {
		in.progress.printf("writing the state: %v", err)
	}
}

// control carries out a line from the control socket.
func (in *instance) control(ctx context.Context, line string) (string, error) {
	verb, name, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch verb {
	case "ping":
		return fmt.Sprint(os.Getpid()), nil
	case "load":
		if !in.options.realNode {
			return "", errors.New("there is no real node to load an image on (--real-node)")
		}
		image, program, _ := strings.Cut(name, " ")
		in.progress.printf("control: load %s from %s", image, program)
		return "", in.loadImage(ctx, image, program)
	case "import":
		if !in.options.realNode {
			return "", errors.New("there is no real node to load images on (--real-node)")
		}
		in.progress.printf("control: import %s", name)
		return "", in.importImages(ctx, name)
	}
	c := in.components[name]
	if c == nil {
		return "", fmt.Errorf("unknown component %q", name)
	}
	if !c.operate.TryLock() {
		return "", fmt.Errorf("%s is busy with another command", name)
	}
	defer c.operate.Unlock()

	in.progress.printf("control: %s %s", verb, name)
	var err error
	switch verb {
	case "stop":
		c.stop(stopGrace)
	case "kill":
		c.stop(0)
	case "pause":
		err = c.pause(true)
	case "cont":
		err = c.pause(false)
	case "start":
		err = in.startAgain(ctx, c)
	case "restart":
		c.stop(stopGrace)
		err = in.startAgain(ctx, c)
	default:
		return "", fmt.Errorf("unknown command %q", verb)
	}
	return "", errors.Join(err, in.update(func(*state) {}))
}

// startAgain starts a component that was stopped. What it depends on may be
// stopped as well, so that waiting for it has an end.
func (in *instance) startAgain(ctx context.Context, c *component) error {
	ctx, cancel := context.WithTimeoutCause(ctx, controlTimeout,
		fmt.Errorf("not ready after %s", controlTimeout))
	defer cancel()
	return in.start(ctx, c.name)
}
