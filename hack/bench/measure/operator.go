package measure

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// Operator is the operator's process, with the settings that its Deployment gives it.
type Operator struct {
	*cluster.Operator
	// Settings are the arguments and variables that its Deployment gave it.
	Settings []string

	pprof string
}

// Start starts the operator as its ServiceAccount, and waits for nothing.
func Start(ctx context.Context, c *cluster.Cluster, program string) (*Operator, error) {
	args, env, err := deployed(filepath.Join(cluster.Root(), "config", "manager", "deployment.yaml"))
	if err != nil {
		return nil, fmt.Errorf("reading how the operator is deployed: %w", err)
	}
	pprof, err := freeAddress()
	if err != nil {
		return nil, err
	}
	flags := append([]string{"--leader-election-namespace", cluster.Namespace, "--pprof-bind-address", pprof}, args...)
	started, err := c.Launch(ctx, program, env, flags...)
	if err != nil {
		return nil, fmt.Errorf("starting the operator: %w", err)
	}
	return &Operator{Operator: started, Settings: append(args, env...), pprof: "http://" + pprof + "/debug/pprof"}, nil
}

// deployed are the arguments and the variables that a Deployment gives to its one container, as the kubelet would work
// them out.
func deployed(file string) (args, env []string, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	deployment := &appsv1.Deployment{}
	if err := yaml.UnmarshalStrict(data, deployment); err != nil {
		return nil, nil, err
	}
	containers := deployment.Spec.Template.Spec.Containers
	if len(containers) != 1 {
		return nil, nil, fmt.Errorf("%s has %d containers, want one", file, len(containers))
	}
	for _, variable := range containers[0].Env {
		value := variable.Value
		if from := variable.ValueFrom; from != nil {
			if from.ResourceFieldRef == nil || from.ResourceFieldRef.Resource != "limits.memory" {
				return nil, nil, fmt.Errorf("%s: the benchmark cannot work out the variable %s", file, variable.Name)
			}
			value = strconv.FormatInt(containers[0].Resources.Limits.Memory().Value(), 10)
		}
		env = append(env, variable.Name+"="+value)
	}
	return containers[0].Args, env, nil
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// Memory is the resident set of a process in MiB: as it is, and the most that it was.
type Memory struct{ Now, Peak float64 }

// Memory reads the operator's.
func (o *Operator) Memory() (Memory, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", o.PID()))
	if err != nil {
		return Memory{}, fmt.Errorf("the operator's memory (it may have ended, see %s): %w", o.Log, err)
	}
	return parseMemory(string(data))
}

func parseMemory(status string) (Memory, error) {
	found := map[string]float64{}
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		if key != "VmHWM" && key != "VmRSS" {
			continue
		}
		kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		if err != nil {
			return Memory{}, err
		}
		found[key] = kib / 1024
	}
	if len(found) != 2 {
		return Memory{}, fmt.Errorf("VmHWM and VmRSS are not both told")
	}
	return Memory{Now: found["VmRSS"], Peak: found["VmHWM"]}, nil
}

// Profile fetches a profile of the operator, such as "heap" or "profile?seconds=10", and returns it.
func (o *Operator) Profile(ctx context.Context, name string) ([]byte, error) {
	return get(ctx, o.pprof+"/"+name)
}

// Collect has the operator collect its garbage, twice: what finalizers let go of goes the second time.
func (o *Operator) Collect(ctx context.Context) error {
	for range 2 {
		if _, err := o.Profile(ctx, "heap?gc=1"); err != nil {
			return err
		}
	}
	return nil
}

func get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := (&http.Client{Timeout: 2 * time.Minute}).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200s", url, response.Status, data)
	}
	return data, err
}
