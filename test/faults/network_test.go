package faults

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// TestNetworkIsCut shows that an operator that is cut off says so, by metrics and readiness, and is right when it is not.
func TestNetworkIsCut(t *testing.T) {
	ctx := context.Background()
	w, err := newWire(hostOf(t, env.Config.Host))
	must(t, err)
	t.Cleanup(w.close)
	o := launch(t, "https://"+w.address(), nil)
	agrees(t)

	for range 5 {
		w.drop()
		time.Sleep(300 * time.Millisecond)
	}
	agrees(t)
	if is, said := verdict("faults", "apps", "app"); is != v1alpha1.VerdictSatisfied {
		t.Errorf("connections that broke off turned apps/app %s: %s", is, said)
	}

	w.slow(150 * time.Millisecond)
	undone(t, unwanted)
	must(t, apply(ctx, object(unwanted)))
	t.Logf("300 ms away, a change is written after %s", turns(t, "storage", "classes", v1alpha1.VerdictCheckFailed, "unwanted").Round(time.Millisecond))
	w.mend()

	w.cut()
	began := time.Now()
	must(t, remove(ctx, object(unwanted)))
	blind := await(t, "metrics tell that nothing can be seen", func() (bool, string) {
		return metric(o, `platformprofile_source_sight{sight="Blind",source="deployments.apps"}`) == 1, ""
	})
	await(t, "metrics show that no verdict stands", func() (bool, string) {
		return metric(o, `platformprofile_status_condition{condition="Conformant",profile="faults",status="unknown"}`) == 1, ""
	})
	if age := contactAge(o); age < time.Since(began)-5*time.Second || age > time.Since(began)+10*time.Second {
		t.Errorf("cut off for %s, the operator says that it heard of the API server %s ago", time.Since(began), age)
	}
	await(t, "the operator is not ready", func() (bool, string) { ready, said := o.Ready(ctx); return !ready, said })
	t.Logf("cut: blind after %s, not ready after %s", blind.Round(time.Second), time.Since(began).Round(time.Second))
	w.mend()
	back := time.Now()
	turns(t, "storage", "classes", v1alpha1.VerdictSatisfied, "")
	agrees(t)
	t.Logf("right %s after the network was mended", time.Since(back).Round(time.Millisecond))
}

// TestHalfOpenConnections shows that connections that live and carry nothing are noticed, and that changes made meanwhile are
// not lost.
func TestHalfOpenConnections(t *testing.T) {
	ctx := context.Background()
	w, err := newWire(hostOf(t, env.Config.Host))
	must(t, err)
	t.Cleanup(w.close)
	o := launch(t, "https://"+w.address(), nil)
	agrees(t)
	undone(t, unwanted)
	w.stall()
	must(t, apply(ctx, object(unwanted)))
	blind := await(t, "metrics tell that nothing can be seen", func() (bool, string) {
		return metric(o, `platformprofile_source_sight{sight="Blind",source="storageclasses.storage.k8s.io"}`) == 1, ""
	})
	w.mend()
	back := time.Now()
	turns(t, "storage", "classes", v1alpha1.VerdictCheckFailed, "unwanted")
	agrees(t)
	t.Logf("blind after %s, right %s after the network was mended", blind.Round(time.Second), time.Since(back).Round(time.Millisecond))
}

// TestExpiredWatches shows that an operator whose watches are older than what etcd keeps lists anew: after a compaction and a
// restart of the API server, while the operator was cut off, and after events that say so.
func TestExpiredWatches(t *testing.T) {
	ctx := context.Background()
	w, err := newWire(hostOf(t, env.Config.Host))
	must(t, err)
	t.Cleanup(w.close)
	launch(t, "https://"+w.address(), nil)
	agrees(t)
	undone(t, unwanted)
	undone(t, second)
	w.cut()
	for i := range 20 {
		must(t, apply(ctx, object(fmt.Sprintf("{apiVersion: faults.example.com/v1alpha1, kind: Widget, metadata: {name: second}, spec: {ok: %t}}", i%2 == 0))))
	}
	must(t, apply(ctx, object(unwanted)))
	compact(t)
	must(t, env.Control(ctx, "restart", "kube-apiserver"))
	w.mend()
	turns(t, "storage", "classes", v1alpha1.VerdictCheckFailed, "unwanted")
	agrees(t)
}

// compact has etcd forget all revisions but the present one.
func compact(t *testing.T) {
	t.Helper()
	state := struct {
		Components map[string]struct {
			Port int `json:"port"`
		} `json:"components"`
	}{}
	folder := filepath.Dir(env.Kubeconfig)
	data, err := os.ReadFile(filepath.Join(folder, "state.json"))
	must(t, err)
	must(t, json.Unmarshal(data, &state))
	certificate, err := tls.LoadX509KeyPair(filepath.Join(folder, "pki", "apiserver-etcd-client.crt"), filepath.Join(folder, "pki", "apiserver-etcd-client.key"))
	must(t, err)
	etcd := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{
		Certificates: []tls.Certificate{certificate}, InsecureSkipVerify: true,
	}}}
	call := func(path, body string) string {
		response, err := etcd.Post(fmt.Sprintf("https://127.0.0.1:%d/v3/kv/%s", state.Components["etcd"].Port, path), "application/json", strings.NewReader(body))
		must(t, err)
		defer response.Body.Close() //nolint:errcheck // it is read
		var said bytes.Buffer
		_, err = said.ReadFrom(response.Body)
		must(t, err)
		if response.StatusCode != http.StatusOK {
			t.Fatalf("etcd answers %s to %s: %s", response.Status, path, said.String())
		}
		return said.String()
	}
	answer := struct {
		Header struct {
			Revision string `json:"revision"`
		} `json:"header"`
	}{}
	must(t, json.Unmarshal([]byte(call("range", `{"key":"AA=="}`)), &answer))
	revision, err := strconv.ParseInt(answer.Header.Revision, 10, 64)
	must(t, err)
	call("compaction", fmt.Sprintf(`{"revision":"%d"}`, revision))
}
