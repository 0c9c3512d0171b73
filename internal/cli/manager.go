package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/dynamic"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/controllers"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/observe"
)

// leaderLease is the name of the lease by which replicas agree on who writes.
const leaderLease = "platformprofile.dev"

// userAgent is how the operator names itself to the API server, in audit logs too.
const userAgent = "platformprofile-manager"

type managerOptions struct {
	flags           *genericclioptions.ConfigFlags
	metricsAddress  string
	metricsInsecure bool
	metricsCertDir  string
	probeAddress    string
	pprofAddress    string
	elect           bool
	leaseNamespace  string
	watchSilence    time.Duration
	lease           time.Duration
	verbosity       int
	development     bool
}

func newManager(flags *genericclioptions.ConfigFlags, streams genericclioptions.IOStreams) *cobra.Command {
	o := &managerOptions{flags: flags}
	command := &cobra.Command{
		Use:   "manager",
		Short: "Run the operator",
		Long: `Run the operator: watch the cluster, evaluate every PlatformProfile when something changes, and write its status.

In a cluster it uses its ServiceAccount. Outside one it uses the kubeconfig, as the other commands do.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			logger := zap.New(zap.UseDevMode(o.development), zap.Level(zapcore.Level(-o.verbosity)), zap.WriteTo(streams.ErrOut)) //nolint:gosec // a small number
			ctrl.SetLogger(logger)
			klog.SetLogger(logger)
			return o.run(ctrl.SetupSignalHandler())
		},
	}
	f := command.Flags()
	f.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", `where to serve metrics; "0" serves none`)
	f.BoolVar(&o.metricsInsecure, "metrics-insecure", false, "serve metrics over HTTP and to everybody; otherwise over HTTPS, to those who may get /metrics")
	f.StringVar(&o.metricsCertDir, "metrics-cert-dir", "", "folder of tls.crt and tls.key to serve metrics with, read again when they change; otherwise a certificate made at the start")
	f.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", `where to serve /healthz and /readyz; "0" serves none`)
	f.StringVar(&o.pprofAddress, "pprof-bind-address", "0", `where to serve profiles of CPU and memory at /debug/pprof, to everybody; "0" serves none`)
	f.BoolVar(&o.elect, "leader-elect", false, "agree with other replicas on who writes")
	f.StringVar(&o.leaseNamespace, "leader-election-namespace", "", "namespace of the lease; in a cluster, that of the pod")
	f.DurationVar(&o.watchSilence, "watch-silence", observe.DefaultSilence, "how long a watch may say nothing before it counts as hung and is opened anew; the API server has a word for each every minute")
	f.DurationVar(&o.lease, "leader-elect-lease-duration", 15*time.Second, "how long a leader that dies stays the leader: another replica takes over within a second after that")
	f.IntVar(&o.verbosity, "verbosity", 0, "how much to log: 0 for what changed, 1 for why")
	f.BoolVar(&o.development, "development", false, "log for people rather than as JSON")
	return command
}

func (o *managerOptions) run(ctx context.Context) error {
	boundMemory()
	config, err := o.flags.ToRESTConfig()
	if err != nil {
		return fmt.Errorf("no cluster to connect to: %w", err)
	}
	config.UserAgent = userAgent
	// The API server's own priority and fairness holds requests back; the client's limit would delay status writes.
	config.QPS, config.Burst = -1, 0
	// Between the operator and its API server there is a cluster's network: packing lists costs both more than it saves.
	config.DisableCompression = true
	noticeDeadConnections()
	clients, err := observe.NewClients(config)
	if err != nil {
		return err
	}
	clients.Contact.Silence = o.watchSilence
	// What the manager itself asks and watches is listened to as well.
	config.Wrap(clients.Contact.Wrap)
	scheme := runtime.NewScheme()
	if err := errors.Join(clientscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	served, err := o.metrics()
	if err != nil {
		return err
	}
	patience := 10 * time.Second
	lock, err := o.lock(config)
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, lock.into(ctrl.Options{
		Scheme:         scheme,
		MapperProvider: newOwnKinds,
		NewClient:      newImpatientClient,
		Metrics:        served,
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			// A read of a kind that nobody watches is a mistake, not a reason to watch it.
			ReaderFailOnMissingInformer: true,
		},
		HealthProbeBindAddress:  o.probeAddress,
		PprofBindAddress:        o.pprofAddress,
		GracefulShutdownTimeout: &patience,
	}))
	if err != nil {
		return fmt.Errorf("starting the operator: %w", err)
	}
	if err := lock.join(mgr); err != nil {
		return err
	}
	ready, err := setUp(mgr, clients)
	if err != nil {
		return err
	}
	if err := errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("inventory", ready), mgr.Add(givingBack{ready})); err != nil {
		return err
	}
	mgr.GetLogger().Info("starting", "version", version(), "pid", os.Getpid())
	err = mgr.Start(ctx)
	if meta.IsNoMatchError(err) {
		return fmt.Errorf("the CustomResourceDefinitions of the operator are not installed, so apply config/crd or the chart's crds: %w", err)
	}
	return err
}

// newImpatientClient returns the client that writes statuses. An answer that does not come within a few seconds will not come
// any more; what was asked is asked again. Watches, which the same configuration is for, may last.
func newImpatientClient(config *rest.Config, options client.Options) (client.Client, error) {
	config = rest.CopyConfig(config)
	config.Timeout = 5 * time.Second
	var err error
	if options.HTTPClient, err = rest.HTTPClientFor(config); err != nil {
		return nil, err
	}
	return client.New(config, options)
}

// metrics says where and to whom metrics are served.
func (o *managerOptions) metrics() (metricsserver.Options, error) {
	options := metricsserver.Options{BindAddress: o.metricsAddress}
	if !o.metricsInsecure {
		options.SecureServing = true
		options.FilterProvider = filters.WithAuthenticationAndAuthorization
		options.TLSOpts = []func(*tls.Config){serving}
		options.CertDir = o.metricsCertDir
		if o.metricsCertDir != "" { // where it is not there, another one would be made without a word
			if _, err := tls.LoadX509KeyPair(filepath.Join(o.metricsCertDir, "tls.crt"), filepath.Join(o.metricsCertDir, "tls.key")); err != nil {
				return options, fmt.Errorf("the certificate of the metrics (--metrics-cert-dir): %w", err)
			}
		}
	}
	return options, nil
}

// serving sets how metrics are served. Who scrapes them asks one thing at a time, for which HTTP/2 has nothing to offer but
// further ways to keep a server busy.
func serving(c *tls.Config) {
	c.MinVersion = tls.VersionTLS13
	c.NextProtos = []string{"http/1.1"}
}

// setUp wires the parts together, and returns the check that tells whether the operator is ready.
func setUp(mgr ctrl.Manager, clients observe.Clients) (healthz.Checker, error) {
	found, err := inventoryOfBuiltins()
	if err != nil {
		return nil, err
	}
	live := observe.NewLive(clients, found, mgr.GetLogger().WithName("observe"))
	dynamics, err := dynamic.NewForConfig(mgr.GetConfig())
	if err != nil {
		return nil, err
	}
	schemas, err := controllers.NewSchemas(dynamics, mgr.GetAPIReader(), mgr.GetLogger().WithName("schemas"))
	if err != nil {
		return nil, err
	}
	definitions, err := controllers.NewDefinitions(mgr.GetAPIReader(), found, schemas)
	if err != nil {
		return nil, err
	}
	recorder := mgr.GetEventRecorder("platformprofile")
	profiles := &controllers.PlatformProfileReconciler{
		Client: mgr.GetClient(), Inventory: found, Definitions: definitions, Reader: live, Schemas: schemas, Recorder: recorder,
		Elected: mgr.Elected(), Settled: live.Settled, Now: time.Now,
	}
	components := &controllers.PlatformComponentReconciler{
		Client: mgr.GetClient(), Inventory: found, Definitions: definitions, Recorder: recorder,
		Elected: mgr.Elected(), Now: time.Now,
	}
	if err := errors.Join(
		mgr.Add(live), mgr.Add(schemas), mgr.Add(definitions),
		profiles.SetupWithManager(mgr), components.SetupWithManager(mgr),
		controllers.RegisterMetrics(profiles, version()), controllers.RegisterSightMetrics(live, found),
	); err != nil {
		return nil, fmt.Errorf("setting up the controllers: %w", err)
	}
	return func(*http.Request) error {
		if !definitions.Ready() {
			return errors.New("the PlatformComponents were not read yet")
		}
		if !found.Settled() {
			return errors.New("the first look at the cluster is not over")
		}
		if last := live.LastContact(); time.Since(last) > contactLimit {
			return fmt.Errorf("the API server has not answered since %s: what is written is as old as that", last.UTC().Format(time.RFC3339))
		}
		return nil
	}, nil
}

// contactLimit is how long the API server may not have answered before the operator is not ready any more. While it
// answers, something is heard of it every twenty seconds at least.
const contactLimit = time.Minute

// noticeDeadConnections has connections asked every ten seconds whether they live, rather than every thirty, and given up
// after ten more. Variables that are set win.
func noticeDeadConnections() {
	for _, name := range []string{"HTTP2_READ_IDLE_TIMEOUT_SECONDS", "HTTP2_PING_TIMEOUT_SECONDS"} {
		if os.Getenv(name) == "" {
			_ = os.Setenv(name, "10") // it fails for names that are none
		}
	}
}

func inventoryOfBuiltins() (*inventory.Inventory, error) {
	c, err := (&source{}).catalog(nil)
	if err != nil {
		return nil, err
	}
	return inventory.New(c, time.Now), nil
}
