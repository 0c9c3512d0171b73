package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
)

// The components carry the names of their programs.
const (
	etcdName        = "etcd"
	apiserverName   = "kube-apiserver"
	controllersName = "kube-controller-manager"
	schedulerName   = "kube-scheduler"
	kwokName        = "kwok"
)

// componentNames is in the order of the start; the stop goes backwards.
var componentNames = []string{etcdName, apiserverName, controllersName, schedulerName, kwokName}

const (
	serviceIPRange      = "10.96.0.0/16"
	kubernetesServiceIP = "10.96.0.1" // the first of the range, by definition
	podIPRange          = "10.244.0.0/16"
)

// names lists the components of a run, in the order of the start.
func (o runOptions) names() []string {
	if o.realNode {
		return slices.Concat(componentNames, realNodeNames)
	}
	return componentNames
}

// componentName accepts a component's name or its short form.
func componentName(name string) (string, error) {
	switch name {
	case "apiserver":
		return apiserverName, nil
	case "controllers":
		return controllersName, nil
	case "scheduler":
		return schedulerName, nil
	}
	all := slices.Concat(componentNames, realNodeNames)
	if slices.Contains(all, name) {
		return name, nil
	}
	return "", fmt.Errorf("unknown component %q: want one of %q", name, all)
}

// auditPolicy records every request once it was answered, and watches also
// when they begin. RequestReceived is left out: it would double each line.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages:
- RequestReceived
rules:
- level: Metadata
`

// settings is what the command lines of the components depend on.
type settings struct {
	dir     string
	bin     string
	keys    pki
	ports   map[string]int
	options runOptions
	stages  []string // files for KWOK
	api     *apiClient
	etcd    *apiClient
}

const etcdPeer = "etcd-peer"

func (s settings) url(name string) string { return "https://" + loopbackAddress(s.ports[name]) }

func (s settings) kubeconfig(file string) string {
	if file == adminUser {
		return filepath.Join(s.dir, "admin.kubeconfig")
	}
	return filepath.Join(s.dir, "kubeconfigs", file+".kubeconfig")
}

func (s settings) log(name string) string { return filepath.Join(s.dir, "logs", name+".log") }

// components describes every component, whether it is to be started or not.
func (s settings) components() (map[string]*component, error) {
	describe := map[string]func() ([]string, probe, error){
		etcdName:        s.etcdCommand,
		apiserverName:   s.apiserverCommand,
		controllersName: s.controllersCommand,
		schedulerName:   s.schedulerCommand,
		kwokName:        s.kwokCommand,
	}
	all := map[string]*component{}
	for _, name := range componentNames {
		bin, err := findBinary(s.bin, name)
		if err != nil {
			return nil, err
		}
		args, ready, err := describe[name]()
		if err != nil {
			return nil, err
		}
		all[name] = &component{
			name: name, bin: bin, args: args, ready: ready,
			port: s.ports[name], log: s.log(name),
		}
	}
	if s.options.realNode {
		more, err := s.realNodeComponents()
		if err != nil {
			return nil, err
		}
		maps.Copy(all, more)
	}
	return all, nil
}

// etcdCommand: durability is traded for speed, because the data is only of use
// to the tests that make it. The short election timeout lets a single member,
// which needs nobody's vote, lead at once.
func (s settings) etcdCommand() ([]string, probe, error) {
	client, peer := s.url(etcdName), s.url(etcdPeer)
	cert, key, ca := s.keys.cert("etcd"), s.keys.key("etcd"), s.keys.cert(etcdCA)
	args := []string{
		"--name=default",
		"--data-dir=" + filepath.Join(s.dir, "etcd"),
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=default=" + peer,
		"--client-cert-auth=true", "--trusted-ca-file=" + ca, "--cert-file=" + cert, "--key-file=" + key,
		"--peer-client-cert-auth=true", "--peer-trusted-ca-file=" + ca, "--peer-cert-file=" + cert, "--peer-key-file=" + key,
		"--unsafe-no-fsync=true",
		"--heartbeat-interval=20",
		"--election-timeout=200",
		"--snapshot-count=10000",
		"--quota-backend-bytes=4294967296",
	}
	if s.options.verbose {
		args = append(args, "--log-level=debug")
	}
	// A plain /health asks for a linearizable read: that there is a leader.
	return args, s.etcd.probe("/health"), nil
}

func (s settings) apiserverCommand() ([]string, probe, error) {
	args := []string{
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(s.ports[apiserverName]),
		"--advertise-address=127.0.0.1",
		// The address above cannot be an Endpoints address. Without a
		// reconciler the service "kubernetes" has no endpoints, and the log no
		// error about it every ten seconds.
		"--endpoint-reconciler-type=none",
		"--cert-dir=" + filepath.Join(s.dir, "apiserver"),
		"--tls-cert-file=" + s.keys.cert("apiserver"),
		"--tls-private-key-file=" + s.keys.key("apiserver"),
		"--client-ca-file=" + s.keys.cert(clusterCA),
		"--etcd-servers=" + s.url(etcdName),
		"--etcd-cafile=" + s.keys.cert(etcdCA),
		"--etcd-certfile=" + s.keys.cert("apiserver-etcd-client"),
		"--etcd-keyfile=" + s.keys.key("apiserver-etcd-client"),
		"--authorization-mode=Node,RBAC",
		"--allow-privileged=true",
		"--service-cluster-ip-range=" + serviceIPRange,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + filepath.Join(s.keys.dir, "sa.pub"),
		"--service-account-signing-key-file=" + s.keys.key("sa"),
		"--requestheader-client-ca-file=" + s.keys.cert(frontProxyCA),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + s.keys.cert("front-proxy-client"),
		"--proxy-client-key-file=" + s.keys.key("front-proxy-client"),
		// There is no kube-proxy: reach the servers of webhooks and
		// APIServices through the endpoints of their services.
		"--enable-aggregator-routing=true",
		"--profiling=false",
	}
	if s.options.audit {
		args = append(args,
			"--audit-policy-file="+filepath.Join(s.dir, "audit-policy.yaml"),
			"--audit-log-path="+s.auditLog(),
			"--audit-log-format=json",
			// A request is in the log before its answer is complete, so that a
			// test need not wait before it looks.
			"--audit-log-mode=blocking",
			// One file for all of a test run; 0 would mean a limit of 100 MB.
			"--audit-log-maxsize=100000",
		)
	}
	args = append(args, s.verbosity()...)
	for _, arg := range s.options.apiserverArgs {
		args = append(args, "--"+arg)
	}
	return args, s.api.probe("/readyz"), nil
}

func (s settings) auditLog() string { return filepath.Join(s.dir, "audit.log") }

func (s settings) controllersCommand() ([]string, probe, error) {
	args := append(s.clientArgs(controllersName),
		"--use-service-account-credentials=true",
		"--service-account-private-key-file="+s.keys.key("sa"),
		"--root-ca-file="+s.keys.cert(clusterCA),
		"--cluster-signing-cert-file="+s.keys.cert(clusterCA),
		"--cluster-signing-key-file="+s.keys.key(clusterCA),
		"--allocate-node-cidrs=false", // nodes come with theirs
		"--service-cluster-ip-range="+serviceIPRange,
		// A claim whose update met a conflict (the StatefulSet controller sets
		// owners at the same moment) waits for the next round, by default 15 s.
		"--pvclaimbinder-sync-period=1s",
		// The default is a directory of the system, which it creates.
		"--flex-volume-plugin-dir="+filepath.Join(s.dir, "flexvolume"),
		// Pods here run the moment they are made; do not let the client's own
		// limit (20 requests per second) be what tests wait for.
		"--kube-api-qps=200", "--kube-api-burst=400",
	)
	return s.probeOwnPort(args, controllersName, "/healthz")
}

func (s settings) schedulerCommand() ([]string, probe, error) {
	args := append(s.clientArgs(schedulerName), "--kube-api-qps=200", "--kube-api-burst=400")
	return s.probeOwnPort(args, schedulerName, "/readyz")
}

// clientArgs are the flags that controllers and scheduler have in common.
func (s settings) clientArgs(name string) []string {
	kubeconfig := s.kubeconfig(name)
	return append([]string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(s.ports[name]),
		// With a certificate given, none is made, which takes an RSA key.
		"--tls-cert-file=" + s.keys.cert("localhost"),
		"--tls-private-key-file=" + s.keys.key("localhost"),
		"--leader-elect=false", // there is only one
		"--profiling=false",
	}, s.verbosity()...)
}

func (s settings) probeOwnPort(args []string, name, path string) ([]string, probe, error) {
	client, err := s.client(s.url(name))
	if err != nil {
		return nil, nil, err
	}
	return args, client.probe(path), nil
}

// client speaks as the administrator.
func (s settings) client(base string) (*apiClient, error) {
	return newAPIClient(base, s.keys.cert(clusterCA), s.keys.cert(adminUser), s.keys.key(adminUser))
}

// kwokCommand: KWOK has nothing to ask for its health; the nodes it keeps
// Ready say whether it works, and waitForNodes looks at them.
func (s settings) kwokCommand() ([]string, probe, error) {
	args := []string{
		"--kubeconfig=" + s.kubeconfig(kwokName),
		"--node-lease-duration-seconds=40",
		"--cidr=" + podIPRange,
	}
	if s.options.realNode {
		// Its kubelet speaks for the real one.
		args = append(args, "--manage-all-nodes=false", "--manage-nodes-with-label-selector=type=kwok")
	} else {
		args = append(args, "--manage-all-nodes=true")
	}
	for _, stage := range s.stages {
		args = append(args, "--config="+stage)
	}
	if s.options.verbose {
		args = append(args, "--v=DEBUG")
	}
	return args, func(context.Context) error { return nil }, nil
}

func (s settings) verbosity() []string {
	if s.options.verbose {
		return []string{"--v=4"}
	}
	return nil
}

// findStages lists the stage files that "build" left.
func findStages(bin string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(bin, "stages", "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no KWOK stages in %s: %w", filepath.Join(bin, "stages"), errNotBuilt)
	}
	return files, nil
}

// waitForDefaultServiceAccount returns when the controllers have made the
// account without which no pod can be created in the default namespace.
func waitForDefaultServiceAccount(ctx context.Context, api *apiClient) error {
	return poll(ctx, func(ctx context.Context) error {
		err := api.do(ctx, http.MethodGet, "/api/v1/namespaces/default/serviceaccounts/default", nil, nil)
		if hasStatus(err, http.StatusNotFound) {
			return errors.New("service account default/default is not there yet")
		}
		return err
	})
}
