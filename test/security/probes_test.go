package security

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// grace is the pods' terminationGracePeriodSeconds in config/default.
const grace = 15 * time.Second

// TestProbesTellStartingFromBroken starts an operator while the API server hangs. The operator is live, so that the kubelet does not
// restart it, but not ready. It becomes ready by itself once the API server responds.
func TestProbesTellStartingFromBroken(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	cluster.Must(t, err)
	address := listener.Addr().String()
	cluster.Must(t, listener.Close())
	ask := func(path string) (int, string) {
		asker := &http.Client{Timeout: 2 * time.Second}
		response, err := asker.Get("http://" + address + path)
		if err != nil {
			return 0, err.Error()
		}
		defer response.Body.Close() //nolint:errcheck // it was read
		body, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(body)
	}

	starting, err := env.Launch(t.Context(), filepath.Join(env.Dir, "operator"), nil, "--health-probe-bind-address", address)
	cluster.Must(t, err)
	ending, err := env.Launch(t.Context(), filepath.Join(env.Dir, "operator"), nil)
	cluster.Must(t, err)
	cluster.Must(t, env.Control(t.Context(), "pause", "kube-apiserver"))
	hangs := true
	defer func() {
		if hangs {
			_ = env.Control(t.Context(), "cont", "kube-apiserver")
		}
		starting.Stop()
	}()
	cluster.Eventually(t, "it answers", func() (bool, string) {
		if code, message := ask("/healthz"); code != http.StatusOK {
			return false, message
		}
		return true, ""
	})
	for range 20 {
		if code, message := ask("/healthz"); code != http.StatusOK {
			t.Fatalf("the liveness probe fails while it waits: %d %s", code, message)
		}
		if code, message := ask("/readyz"); code != http.StatusInternalServerError {
			t.Fatalf("the readiness probe succeeds while the API server hangs: %d %s", code, message)
		}
		time.Sleep(100 * time.Millisecond)
	}
	// Nor does it wait for the API server when it is asked to end.
	asked := time.Now()
	ending.Stop()
	if took := time.Since(asked); took >= grace {
		t.Errorf("while the API server hangs it ends only after %s", took)
	} else {
		t.Logf("while the API server hangs it ends within %.1f s", took.Seconds())
	}
	cluster.Must(t, env.Control(t.Context(), "cont", "kube-apiserver"))
	hangs = false
	cluster.Eventually(t, "it is ready", func() (bool, string) {
		if code, message := ask("/readyz"); code != http.StatusOK {
			return false, fmt.Sprint(code, message)
		}
		return true, ""
	})
}
