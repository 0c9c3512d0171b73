// Package operator runs the operator in a cluster: it parses the flags and sets up the manager, the sources and the controllers.
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
	"k8s.io/apimachinery/pkg/runtime/schema"
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

// leaseName is the name of the Lease for leader election.
const leaseName = "platformprofile.dev"

// userAgent identifies the operator to the API server, for example in audit logs.
const userAgent = "platformprofile-manager"

// options contains the flags of the operator.
type options struct {
	metricsAddress  string
	metricsInsecure bool
	metricsCertDir  string
	probeAddress    string
	pprofAddress    string
	leaderElect     bool
	leaseNamespace  string
	watchSilence    time.Duration
	leaseDuration   time.Duration
	reports         bool
	verbosity       int
	development     bool
	version         bool
}

// Run runs the operator until it receives a signal, and returns the exit code.
func Run(args []string, errOut io.Writer) int {
	o, err := parseFlags(args, errOut)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil: // parseFlags has printed it
		return 2
	case o.version:
		_, _ = fmt.Fprintln(errOut, version.Get())
		return 0
	}
	level := zapcore.Level(-o.verbosity) //nolint:gosec // verbosity is small
	logger := zap.New(zap.UseDevMode(o.development), zap.Level(level), zap.WriteTo(errOut))
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	if err := o.run(ctrl.SetupSignalHandler()); err != nil {
		logger.Error(err, "operator exited")
		return 1
	}
	return 0
}

func parseFlags(args []string, errOut io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("operator", flag.ContinueOnError)
	f.SetOutput(errOut)
	ctrl.RegisterFlags(f)
	f.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", `address of the metrics endpoint; "0" disables it`)
	f.BoolVar(&o.metricsInsecure, "metrics-insecure", false,
		"serve metrics over HTTP without authentication, instead of over HTTPS to clients that are authorized to get /metrics")
	f.StringVar(&o.metricsCertDir, "metrics-cert-dir", "",
		"directory with the tls.crt and tls.key of the metrics endpoint, reloaded when they change; if empty, use a self-signed certificate")
	f.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", `address of /healthz and /readyz; "0" disables them`)
	f.StringVar(&o.pprofAddress, "pprof-bind-address", "0",
		`address of /debug/pprof, which is served without authentication; "0" disables it`)
	f.BoolVar(&o.leaderElect, "leader-elect", false, "enable leader election, so that one replica writes")
	f.StringVar(&o.leaseNamespace, "leader-election-namespace", "",
		"namespace of the leader election Lease; defaults to the namespace of the pod")
	f.DurationVar(&o.watchSilence, "watch-silence", source.DefaultWatchSilence,
		"restart a watch that received no event or bookmark for this long; the API server sends a bookmark every minute")
	f.DurationVar(&o.leaseDuration, "leader-elect-lease-duration", 15*time.Second,
		"duration of the leader election lease, in whole seconds; after the leader fails, another replica takes over once the lease expires")
	f.BoolVar(&o.reports, "reports", false,
		"write a ClusterReport of openreports.io, or else a ClusterPolicyReport of wgpolicyk8s.io, for each profile; config/reports grants the permission")
	f.IntVar(&o.verbosity, "verbosity", 0, "log verbosity: 0 logs changes, 1 also logs their reasons")
	f.BoolVar(&o.development, "development", false, "log in a human-readable format instead of JSON")
	f.BoolVar(&o.version, "version", false, "print the version and exit")
	err := f.Parse(args)
	switch {
	case err != nil:
		return nil, err
	case f.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q: the operator accepts only flags", f.Arg(0))
	case o.leaseDuration < minLeaseDuration || o.leaseDuration%time.Second != 0:
		err = fmt.Errorf("--leader-elect-lease-duration is %s: it must be in whole seconds, and %s or more", o.leaseDuration, minLeaseDuration)
	}
	if err != nil {
		_, _ = fmt.Fprintln(errOut, err)
	}
	return o, err
}

// minLeaseDuration is the shortest lease that can be renewed reliably with a busy API server.
const minLeaseDuration = 5 * time.Second

func (o *options) run(ctx context.Context) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("loading the client configuration: %w", err)
	}
	config.UserAgent = userAgent
	// In the network of a cluster, compressing lists costs more time than it saves.
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
	metrics, err := o.metricsOptions()
	if err != nil {
		return err
	}
	shutdownTimeout := 10 * time.Second
	// The same proportions as in kube-controller-manager: 10 s and 2 s for a lease of 15 s.
	renewDeadline, retryPeriod := o.leaseDuration*2/3, o.leaseDuration*2/15
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:         scheme,
		MapperProvider: newRESTMapper,
		NewClient:      newStatusClient,
		Metrics:        metrics,
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			// A read of a kind without an informer is a bug, and must not start one.
			ReaderFailOnMissingInformer: true,
		},
		HealthProbeBindAddress:  o.probeAddress,
		PprofBindAddress:        o.pprofAddress,
		GracefulShutdownTimeout: &shutdownTimeout,

		LeaderElection:          o.leaderElect,
		LeaderElectionID:        leaseName,
		LeaderElectionNamespace: o.leaseNamespace,
		LeaseDuration:           &o.leaseDuration,
		RenewDeadline:           &renewDeadline,
		RetryPeriod:             &retryPeriod,
		// The process exits with the manager, so that it writes nothing after it has released the lease.
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return fmt.Errorf("creating the manager: %w", err)
	}
	ready, err := setUp(mgr, clients, o.reports)
	if err != nil {
		return err
	}
	if err := errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("inventory", ready)); err != nil {
		return err
	}
	mgr.GetLogger().Info("starting", "version", version.Get(), "pid", os.Getpid())
	err = mgr.Start(ctx)
	if meta.IsNoMatchError(err) {
		return fmt.Errorf("the CustomResourceDefinitions of the operator are not installed: "+
			"apply config/crd, or install the chart with crds.enabled: %w", err)
	}
	return err
}

// newStatusClient returns the client that writes statuses. Its requests time out after a few seconds and are retried. The configuration
// of the manager has no timeout, because it also serves watches.
func newStatusClient(config *rest.Config, options client.Options) (client.Client, error) {
	config = rest.CopyConfig(config)
	config.Timeout = 5 * time.Second
	var err error
	if options.HTTPClient, err = rest.HTTPClientFor(config); err != nil {
		return nil, err
	}
	return client.New(config, options)
}

// metricsOptions returns the options of the metrics server.
func (o *options) metricsOptions() (metricsserver.Options, error) {
	options := metricsserver.Options{BindAddress: o.metricsAddress}
	if !o.metricsInsecure {
		options.SecureServing = true
		options.FilterProvider = filters.WithAuthenticationAndAuthorization
		options.TLSOpts = []func(*tls.Config){configureTLS}
		options.CertDir = o.metricsCertDir
		if o.metricsCertDir != "" { // controller-runtime would silently generate a certificate if this one is missing
			cert, key := filepath.Join(o.metricsCertDir, "tls.crt"), filepath.Join(o.metricsCertDir, "tls.key")
			if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
				return options, fmt.Errorf("loading the certificate of the metrics endpoint (--metrics-cert-dir): %w", err)
			}
		}
	}
	return options, nil
}

// configureTLS disables HTTP/2 for metrics: scrapes do not benefit from it, and it can be used for denial of service.
func configureTLS(c *tls.Config) {
	c.MinVersion = tls.VersionTLS13
	c.NextProtos = []string{"http/1.1"}
}

// setUp adds the sources and the controllers to the manager, and returns the readiness check of the inventory.
func setUp(mgr ctrl.Manager, clients source.Clients, withReports bool) (healthz.Checker, error) {
	builtin, err := catalog.Builtin()
	if err != nil {
		return nil, err
	}
	inv := inventory.New(catalog.New(builtin...), time.Now)
	sources := source.New(clients, inv, mgr.GetLogger().WithName("source"))
	crds, err := metadata.NewForConfig(mgr.GetConfig())
	if err != nil {
		return nil, err
	}
	recorder := mgr.GetEventRecorder("platformprofile")
	schemas, err := controllers.NewSchemas(crds, recorder, mgr.Elected(), mgr.GetLogger().WithName("schemas"))
	if err != nil {
		return nil, err
	}
	definitions, err := controllers.NewDefinitions(mgr.GetAPIReader(), inv)
	if err != nil {
		return nil, err
	}
	profiles := &controllers.PlatformProfileReconciler{
		Client: mgr.GetClient(), Inventory: inv, Definitions: definitions, Reader: sources, Schemas: schemas, Recorder: recorder,
		Elected: mgr.Elected(), HasRecovered: sources.HasRecovered, Now: time.Now,
	}
	components := &controllers.PlatformComponentReconciler{
		Client: mgr.GetClient(), Inventory: inv, Definitions: definitions, Schemas: schemas, Recorder: recorder,
		Elected: mgr.Elected(), Now: time.Now,
	}
	waivers := &controllers.PlatformWaiverReconciler{Client: mgr.GetClient(), Schemas: schemas, Now: time.Now}
	if err := errors.Join(
		mgr.Add(sources), mgr.Add(schemas), mgr.Add(definitions), mgr.AddReadyzCheck("schemas", schemas.Ready),
		profiles.SetupWithManager(mgr), components.SetupWithManager(mgr), waivers.SetupWithManager(mgr),
		controllers.RegisterMetrics(profiles, version.Get()), controllers.RegisterSourceMetrics(sources, inv),
	); err != nil {
		return nil, fmt.Errorf("setting up the controllers: %w", err)
	}
	if withReports {
		reports := &controllers.ReportReconciler{
			Profiles: mgr.GetClient(), Reports: clients.Dynamic, Recorder: recorder,
			ListServed: func(version schema.GroupVersion) (map[string]bool, error) {
				return source.ServedResources(clients, version)
			},
		}
		if err := reports.SetupWithManager(mgr); err != nil {
			return nil, fmt.Errorf("setting up the reports: %w", err)
		}
	}
	return func(*http.Request) error {
		if !definitions.Ready() {
			return errors.New("the PlatformComponents have not been read yet")
		}
		if !inv.HasSynced() {
			return errors.New("the initial list of watched resources is not complete")
		}
		if since := sources.AwaySince(); !since.IsZero() && time.Since(since) > maxDisconnection {
			return fmt.Errorf("the API server has not answered since %s: statuses may be out of date", since.UTC().Format(time.RFC3339))
		}
		return nil
	}, nil
}

// maxDisconnection is how long the API server may be unreachable before the operator is not ready.
const maxDisconnection = 45 * time.Second

// configureConnectionChecks shortens the HTTP/2 health check of client-go, so that a dead connection is closed after 20 seconds.
// Environment variables that are already set take precedence.
func configureConnectionChecks() {
	for _, name := range []string{"HTTP2_READ_IDLE_TIMEOUT_SECONDS", "HTTP2_PING_TIMEOUT_SECONDS"} {
		if os.Getenv(name) == "" {
			_ = os.Setenv(name, "10") // it fails only for invalid names
		}
	}
}
