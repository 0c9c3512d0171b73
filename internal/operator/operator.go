// Package operator is the program that runs in a cluster: its flags, and the manager with all that is wired into it.
package operator

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
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
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/source"
	"github.com/platformprofile/platformprofile/internal/version"
)

// leaseName is the name of the lease by which replicas agree on who writes.
const leaseName = "platformprofile.dev"

// userAgent is how the operator names itself to the API server, in audit logs too.
const userAgent = "platformprofile-manager"

// options are the operator's flags.
type options struct {
	metricsAddress  string
	metricsInsecure bool
	metricsCertDir  string
	probeAddress    string
	pprofAddress    string
	leaderElect           bool
	leaseNamespace  string
	watchSilence    time.Duration
	leaseDuration           time.Duration
	verbosity       int
	development     bool
	version         bool
}

// Run runs the operator until a signal ends it, and returns its exit code.
func Run(args []string, errOut io.Writer) int {
	o, err := parseFlags(args, errOut)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil: // it is printed
		return 2
	case o.version:
		_, _ = fmt.Fprintln(errOut, version.Get())
		return 0
	}
	logger := zap.New(zap.UseDevMode(o.development), zap.Level(zapcore.Level(-o.verbosity)), zap.WriteTo(errOut)) //nolint:gosec // a small number
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	if err := o.run(ctrl.SetupSignalHandler()); err != nil {
		logger.Error(err, "the operator ended")
		return 1
	}
	return 0
}

func parseFlags(args []string, errOut io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("operator", flag.ContinueOnError)
	f.SetOutput(errOut)
	ctrl.RegisterFlags(f)
	f.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", `where to serve metrics; "0" serves none`)
	f.BoolVar(&o.metricsInsecure, "metrics-insecure", false, "serve metrics over HTTP and to everybody; otherwise over HTTPS, to those who may get /metrics")
	f.StringVar(&o.metricsCertDir, "metrics-cert-dir", "", "folder of tls.crt and tls.key to serve metrics with, read again when they change; otherwise a certificate made at the start")
	f.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", `where to serve /healthz and /readyz; "0" serves none`)
	f.StringVar(&o.pprofAddress, "pprof-bind-address", "0", `where to serve profiles of CPU and memory at /debug/pprof, to everybody; "0" serves none`)
	f.BoolVar(&o.leaderElect, "leader-elect", false, "agree with other replicas on who writes")
	f.StringVar(&o.leaseNamespace, "leader-election-namespace", "", "namespace of the lease; in a cluster, that of the pod")
	f.DurationVar(&o.watchSilence, "watch-silence", source.DefaultWatchSilence, "restart a watch that received no event or bookmark for this long; the API server sends a bookmark every minute")
	f.DurationVar(&o.leaseDuration, "leader-elect-lease-duration", 15*time.Second, "how long the lease of a leader lasts after it was renewed, in whole seconds; when the leader dies, another replica takes over after that")
	f.IntVar(&o.verbosity, "verbosity", 0, "how much to log: 0 for what changed, 1 for why")
	f.BoolVar(&o.development, "development", false, "log for people rather than as JSON")
	f.BoolVar(&o.version, "version", false, "print the version and end")
	err := f.Parse(args)
	switch {
	case err != nil:
		return nil, err
	case f.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q: the operator has flags alone", f.Arg(0))
	case o.leaseDuration < minLeaseDuration || o.leaseDuration%time.Second != 0:
		err = fmt.Errorf("--leader-elect-lease-duration is %s: give whole seconds, %s or more", o.leaseDuration, minLeaseDuration)
	}
	if err != nil {
		_, _ = fmt.Fprintln(errOut, err)
	}
	return o, err
}

// minLeaseDuration is the shortest lease that a busy API server lets anybody keep.
const minLeaseDuration = 5 * time.Second

func (o *options) run(ctx context.Context) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("no cluster to connect to: %w", err)
	}
	config.UserAgent = userAgent
	// Between the operator and its API server there is a cluster's network: packing lists costs both more than it saves.
	config.DisableCompression = true
	configureConnectionChecks()
	clients, err := source.NewClients(config)
	if err != nil {
		return err
	}
	clients.WatchSilence = o.watchSilence
	scheme := runtime.NewScheme()
	if err := errors.Join(clientscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	served, err := o.metricsOptions()
	if err != nil {
		return err
	}
	patience := 10 * time.Second
	// In proportion to the lease as Kubernetes' own controllers have them: 10 and 2 seconds of 15.
	renewDeadline, retryPeriod := o.leaseDuration*2/3, o.leaseDuration*2/15
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:         scheme,
		MapperProvider: newRESTMapper,
		NewClient:      newStatusClient,
		Metrics:        served,
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			// A read of a kind that nobody watches is a mistake, not a reason to watch it.
			ReaderFailOnMissingInformer: true,
		},
		HealthProbeBindAddress:  o.probeAddress,
		PprofBindAddress:        o.pprofAddress,
		GracefulShutdownTimeout: &patience,

		LeaderElection:          o.leaderElect,
		LeaderElectionID:        leaseName,
		LeaderElectionNamespace: o.leaseNamespace,
		LeaseDuration:           &o.leaseDuration,
		RenewDeadline:           &renewDeadline,
		RetryPeriod:             &retryPeriod,
		// The program ends with the manager, so that nobody writes once the lease is given back.
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return fmt.Errorf("starting the operator: %w", err)
	}
	ready, err := setUp(mgr, clients)
	if err != nil {
		return err
	}
	if err := errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("inventory", ready)); err != nil {
		return err
	}
	mgr.GetLogger().Info("starting", "version", version.Get(), "pid", os.Getpid())
	err = mgr.Start(ctx)
	if meta.IsNoMatchError(err) {
		return fmt.Errorf("the CustomResourceDefinitions of the operator are not installed, so apply config/crd, or the chart with crds.enabled: %w", err)
	}
	return err
}

// newStatusClient returns the client that writes statuses. An answer that does not come within a few seconds will not come
// any more; what was asked is asked again. Watches, which the same configuration is for, may last.
func newStatusClient(config *rest.Config, options client.Options) (client.Client, error) {
	config = rest.CopyConfig(config)
	config.Timeout = 5 * time.Second
	var err error
	if options.HTTPClient, err = rest.HTTPClientFor(config); err != nil {
		return nil, err
	}
	return client.New(config, options)
}

// metricsOptions says where and to whom metrics are served.
func (o *options) metricsOptions() (metricsserver.Options, error) {
	options := metricsserver.Options{BindAddress: o.metricsAddress}
	if !o.metricsInsecure {
		options.SecureServing = true
		options.FilterProvider = filters.WithAuthenticationAndAuthorization
		options.TLSOpts = []func(*tls.Config){configureTLS}
		options.CertDir = o.metricsCertDir
		if o.metricsCertDir != "" { // where it is not there, another one would be made without a word
			if _, err := tls.LoadX509KeyPair(filepath.Join(o.metricsCertDir, "tls.crt"), filepath.Join(o.metricsCertDir, "tls.key")); err != nil {
				return options, fmt.Errorf("the certificate of the metrics (--metrics-cert-dir): %w", err)
			}
		}
	}
	return options, nil
}

// configureTLS sets how metrics are served. Who scrapes them asks one thing at a time, for which HTTP/2 has nothing to offer but
// further ways to keep a server busy.
func configureTLS(c *tls.Config) {
	c.MinVersion = tls.VersionTLS13
	c.NextProtos = []string{"http/1.1"}
}

// setUp wires the parts together, and returns the check that tells whether the operator is ready.
func setUp(mgr ctrl.Manager, clients source.Clients) (healthz.Checker, error) {
	builtin, err := catalog.Builtin()
	if err != nil {
		return nil, err
	}
	found := inventory.New(catalog.New(builtin...), time.Now)
	sources := source.New(clients, found, mgr.GetLogger().WithName("source"))
	crds, err := metadata.NewForConfig(mgr.GetConfig())
	if err != nil {
		return nil, err
	}
	recorder := mgr.GetEventRecorder("platformprofile")
	schemas, err := controllers.NewSchemas(crds, recorder, mgr.Elected(), mgr.GetLogger().WithName("schemas"))
	if err != nil {
		return nil, err
	}
	definitions, err := controllers.NewDefinitions(mgr.GetAPIReader(), found)
	if err != nil {
		return nil, err
	}
	profiles := &controllers.PlatformProfileReconciler{
		Client: mgr.GetClient(), Inventory: found, Definitions: definitions, Reader: sources, Schemas: schemas, Recorder: recorder,
		Elected: mgr.Elected(), HasRecovered: sources.HasRecovered, Now: time.Now,
	}
	components := &controllers.PlatformComponentReconciler{
		Client: mgr.GetClient(), Inventory: found, Definitions: definitions, Schemas: schemas, Recorder: recorder,
		Elected: mgr.Elected(), Now: time.Now,
	}
	if err := errors.Join(
		mgr.Add(sources), mgr.Add(schemas), mgr.Add(definitions), mgr.AddReadyzCheck("schemas", schemas.Ready),
		profiles.SetupWithManager(mgr), components.SetupWithManager(mgr),
		controllers.RegisterMetrics(profiles, version.Get()), controllers.RegisterSourceMetrics(sources, found),
	); err != nil {
		return nil, fmt.Errorf("setting up the controllers: %w", err)
	}
	return func(*http.Request) error {
		if !definitions.Ready() {
			return errors.New("the PlatformComponents were not read yet")
		}
		if !found.HasSynced() {
			return errors.New("the first look at the cluster is not over")
		}
		if since := sources.AwaySince(); !since.IsZero() && time.Since(since) > maxDisconnection {
			return fmt.Errorf("the API server has not answered since %s: statuses may be out of date since then", since.UTC().Format(time.RFC3339))
		}
		return nil
	}, nil
}

// maxDisconnection is how long the API server may not answer before the operator is not ready.
const maxDisconnection = 45 * time.Second

// configureConnectionChecks has connections asked every ten seconds whether they live, rather than every thirty, and given up
// after ten more. Variables that are set win.
func configureConnectionChecks() {
	for _, name := range []string{"HTTP2_READ_IDLE_TIMEOUT_SECONDS", "HTTP2_PING_TIMEOUT_SECONDS"} {
		if os.Getenv(name) == "" {
			_ = os.Setenv(name, "10") // it fails for names that are none
		}
	}
}
