package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// Namespace is the operator's.
	Namespace = "platformprofile-system"
	// ServiceAccount is the operator's.
	ServiceAccount = "platformprofile-manager"
	// User is how the API server knows the operator.
	User = "system:serviceaccount:" + Namespace + ":" + ServiceAccount
)

// ListCommand lists the objects of all kinds of this project. A CRD that is deleted before the API server has initialised the storage of
// its objects stays: "could not list instances: storage is (re)initializing".
const ListCommand = "kubectl get platformprofiles,platformcomponents,platformwaivers"

// Install applies config/default as a user would, but for the Deployment: KWOK would only pretend to run its pods.
func (c *Cluster) Install(ctx context.Context) error {
	rendered, err := exec.CommandContext(ctx, filepath.Join(Root(), "bin", "k8s", "kubectl"), "kustomize",
		filepath.Join(Root(), "config", "default")).Output()
	if err != nil {
		return fmt.Errorf("kubectl kustomize config/default: %w", err)
	}
	objects, err := Parse(rendered)
	if err != nil {
		return err
	}
	wanted := make([]*unstructured.Unstructured, 0, len(objects))
	for _, object := range objects {
		if object.GetKind() != "Deployment" {
			wanted = append(wanted, object)
		}
	}
	return c.ApplyObjects(ctx, wanted, Namespace)
}

// Operator is the operator's process.
type Operator struct {
	// Log is the file it logs to.
	Log string
	// Metrics is the URL of its metrics.
	Metrics string
	// Started is when its process was started.
	Started time.Time

	ready   string
	process *exec.Cmd
}

// Run builds and starts the operator as its ServiceAccount, with a token and nothing else, and waits until it is ready.
func (c *Cluster) Run(ctx context.Context, flags ...string) (*Operator, error) {
	program, err := c.Build(ctx)
	if err != nil {
		return nil, err
	}
	o, err := c.Launch(ctx, program, nil, append([]string{"--verbosity", "1"}, flags...)...)
	if err != nil {
		return nil, err
	}
	if err := awaitOK(ctx, o.ready); err != nil {
		o.Stop()
		output, _ := os.ReadFile(o.Log)
		return nil, fmt.Errorf("the operator is not ready: %w\n%s", err, output)
	}
	return o, nil
}

// Launch starts a built operator as its ServiceAccount, with these variables beside the environment, and waits for nothing.
func (c *Cluster) Launch(ctx context.Context, program string, env []string, flags ...string) (*Operator, error) {
	kubeconfig := filepath.Join(c.Dir, "operator.kubeconfig")
	if err := c.WriteConfig(ctx, kubeconfig, Namespace, ServiceAccount); err != nil {
		return nil, err
	}
	return start(program, kubeconfig, filepath.Join(c.Dir, "operator.log"), env, flags)
}

func start(program, kubeconfig, logFile string, env, flags []string) (*Operator, error) {
	metrics, probes, err := freePorts()
	if err != nil {
		return nil, err
	}
	args := append([]string{
		"--kubeconfig", kubeconfig,
		"--metrics-insecure", "--metrics-bind-address", metrics, "--health-probe-bind-address", probes,
	}, flags...)
	o := &Operator{
		Log: logFile, Metrics: "http://" + metrics + "/metrics",
		ready: "http://" + probes + "/readyz", process: exec.Command(program, args...),
	}
	log, err := os.OpenFile(o.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	o.process.Stdout, o.process.Stderr = log, log
	o.process.SysProcAttr = endWithParent()
	o.process.Env = append(os.Environ(), env...)
	o.Started = time.Now()
	return o, o.process.Start()
}

// Ready reports whether the operator is ready, and returns the body of /readyz.
func (o *Operator) Ready(ctx context.Context) (bool, string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.ready+"?verbose", nil)
	if err != nil {
		return false, err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, err.Error()
	}
	defer response.Body.Close() //nolint:errcheck // it is read
	output, err := io.ReadAll(response.Body)
	if err != nil {
		return false, err.Error()
	}
	return response.StatusCode == http.StatusOK, string(output)
}

// ReadyCheck returns the result of one of the checks at /readyz.
func (o *Operator) ReadyCheck(ctx context.Context, name string) string {
	output, err := get(ctx, o.ready+"/"+name)
	if err != nil {
		return err.Error()
	}
	return output
}

// PID is the operator's process.
func (o *Operator) PID() int { return o.process.Process.Pid }

// Stop ends the operator as a cluster would, with SIGTERM.
func (o *Operator) Stop() {
	_ = o.process.Process.Signal(os.Interrupt)
	_ = o.process.Wait()
}

// WriteOperatorConfig writes a kubeconfig by which a test does what the operator may.
func (c *Cluster) WriteOperatorConfig(ctx context.Context, path string) error {
	return c.WriteConfig(ctx, path, Namespace, ServiceAccount)
}

// WriteConfig writes a kubeconfig that holds a ServiceAccount's token and no certificate.
func (c *Cluster) WriteConfig(ctx context.Context, path, namespace, name string) error {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	hours := int64(8 * 3600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &hours}}
	if err := c.Client.SubResource("token").Create(ctx, account, request, &client.SubResourceCreateOptions{}); err != nil {
		return fmt.Errorf("asking for a token of %s/%s: %w", namespace, name, err)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["test"] = &clientcmdapi.Cluster{
		Server:                   c.Config.Host,
		CertificateAuthorityData: c.Config.CAData,
		CertificateAuthority:     c.Config.CAFile,
	}
	config.AuthInfos["account"] = &clientcmdapi.AuthInfo{Token: request.Status.Token}
	config.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "account"}
	config.CurrentContext = "test"
	return clientcmd.WriteToFile(*config, path)
}

func freePorts() (string, string, error) {
	addresses := make([]string, 2)
	for i := range addresses {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", "", err
		}
		defer listener.Close() //nolint:errcheck // it was only asked for its port
		addresses[i] = listener.Addr().String()
	}
	return addresses[0], addresses[1], nil
}

func awaitOK(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer with 200: %w", url, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
