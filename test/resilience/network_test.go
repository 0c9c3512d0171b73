package resilience

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// lay lays a wire before a target, until the test ends.
func lay(t *testing.T, target string) *wire {
	t.Helper()
	w, err := newWire(target)
	must(t, err)
	t.Cleanup(w.close)
	return w
}

// TestNetworkBreaksOffAndIsSlow shows that connections that break off, that hang for seconds and that are slow lose no change
// and turn no verdict.
func TestNetworkBreaksOffAndIsSlow(t *testing.T) {
	g, ctx := enter(t), context.Background()
	w := lay(t, hostOf(t, g.Config.Host))
	g.launch(t, "https://"+w.address(), nil)
	g.agrees(t)
	for range 5 {
		w.drop()
		time.Sleep(300 * time.Millisecond)
	}
	g.agrees(t)
	if is, said := g.verdict("faults", "apps", "app"); is != v1alpha1.VerdictSatisfied {
		t.Errorf("connections that broke off turned apps/app %s: %s", is, said)
	}

	w.slow(150 * time.Millisecond)
	g.undone(t, unwanted)
	must(t, g.apply(ctx, object(unwanted)))
	t.Logf("300 ms away, a change is written after %s", g.turns(t, "storage", "classes", v1alpha1.VerdictCheckFailed, "unwanted").Round(time.Millisecond))
	w.mend()

	w.stall()
	must(t, g.remove(ctx, object(unwanted)))
	time.Sleep(5 * time.Second)
	w.mend()
	back := time.Now()
	g.turns(t, "storage", "classes", v1alpha1.VerdictSatisfied, "")
	g.agrees(t)
	t.Logf("right %s after a hang of 5 s", time.Since(back).Round(time.Millisecond))
}

// TestNetworkGoneUntilPatienceEnds shows that an operator whose network comes back in any moment around the one in which
// sources count as out of sight writes no word of it: what it looked at was there all the while.
func TestNetworkGoneUntilPatienceEnds(t *testing.T) {
	g, ctx := enter(t), context.Background()
	w := lay(t, hostOf(t, g.Config.Host))
	g.launch(t, "https://"+w.address(), nil)
	g.agrees(t)
	changed := g.changedAt(t, "apps", "app")
	seed := uint64(time.Now().UnixNano())
	t.Logf("the seed is %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	for _, gone := range []func() error{func() error { w.cut(); return nil }, w.leave, w.leave} {
		must(t, gone())
		// The operator's patience is fifteen seconds, and it looks every five whether that is over.
		down := 14*time.Second + time.Duration(chance.Int64N(int64(7*time.Second)))
		time.Sleep(down)
		w.mend()
		back := time.Now()
		must(t, g.apply(ctx, object(unwanted)))
		g.turns(t, "storage", "classes", v1alpha1.VerdictCheckFailed, "unwanted")
		t.Logf("gone for %s, right %s after it is back", down.Round(time.Millisecond), time.Since(back).Round(time.Millisecond))
		must(t, g.remove(ctx, object(unwanted)))
		g.turns(t, "storage", "classes", v1alpha1.VerdictSatisfied, "")
		g.agrees(t)
		if again := g.changedAt(t, "apps", "app"); !again.Equal(changed) {
			t.Errorf("gone for %s, apps/app changed at %s, and before at %s", down, again, changed)
			changed = again
		}
	}
}

// stranded is an operator that nothing reaches.
type stranded struct {
	*ground
	wire     *wire
	operator *cluster.Operator
	since    time.Time
	// blind and unready get how long it took until metrics and readiness said so.
	blind, unready chan time.Duration
}

// strand starts an operator, and then has something happen to its network.
func (g *ground) strand(t *testing.T, happen func(*wire)) *stranded {
	t.Helper()
	w := lay(t, hostOf(t, g.Config.Host))
	s := &stranded{ground: g, wire: w, operator: g.launch(t, "https://"+w.address(), nil), blind: make(chan time.Duration, 1), unready: make(chan time.Duration, 1)}
	g.agrees(t)
	happen(w)
	s.since = time.Now()
	go s.clock(s.blind, func() bool {
		return metric(s.operator, `platformprofile_source_state{source="deployments.apps",state="Failing"}`) == 1 &&
			metric(s.operator, `platformprofile_status_condition{condition="Conformant",profile="faults",status="unknown"}`) == 1
	})
	go s.clock(s.unready, func() bool {
		ready, said := s.operator.Ready(context.Background())
		return !ready && strings.Contains(said, "inventory failed")
	})
	return s
}

// clock says how long it takes until something is so, where it comes to be.
func (s *stranded) clock(took chan<- time.Duration, so func() bool) {
	for time.Since(s.since) < patience {
		if so() {
			took <- time.Since(s.since)
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	close(took)
}

// tells waits until metrics and readiness say that nothing can be known.
func (s *stranded) tells(t *testing.T) {
	t.Helper()
	blind, ok := <-s.blind
	if !ok {
		t.Fatal("metrics do not tell that nothing can be seen")
	}
	unready, ok := <-s.unready
	if !ok {
		t.Fatal("it is ready all the while")
	}
	if age, gone := contactAge(s.operator), time.Since(s.since); age < gone-10*time.Second || age > gone+90*time.Second {
		t.Errorf("cut off for %s, the operator says that it heard of the API server %s ago", gone, age)
	}
	t.Logf("metrics tell that no verdict stands after %s, readiness after %s", blind.Round(time.Second), unready.Round(time.Second))
}

// recovers shows that it is right when its network is mended.
func (s *stranded) recovers(t *testing.T) {
	t.Helper()
	s.wire.mend()
	back := time.Now()
	await(t, "the operator is ready again", func() (bool, string) { return s.operator.Ready(context.Background()) })
	s.agrees(t)
	t.Logf("right %s after the network was mended", time.Since(back).Round(time.Millisecond))
	s.operator.Stop()
}

// TestExpiredWatches shows that an operator whose watches are older than what etcd keeps lists anew: after a compaction and a
// restart of the API server, while the operator was cut off, and after events that say so.
func TestExpiredWatches(t *testing.T) {
	g, ctx := enter(t), context.Background()
	w := lay(t, hostOf(t, g.Config.Host))
	g.launch(t, "https://"+w.address(), nil)
	g.agrees(t)
	g.undone(t, unwanted)
	g.undone(t, second)
	w.cut()
	for i := range 20 {
		must(t, g.apply(ctx, object(fmt.Sprintf("{apiVersion: faults.example.com/v1alpha1, kind: Widget, metadata: {name: second}, spec: {ok: %t}}", i%2 == 0))))
	}
	must(t, g.apply(ctx, object(unwanted)))
	g.compact(t)
	must(t, g.Control(ctx, "restart", "kube-apiserver"))
	w.mend()
	g.turns(t, "storage", "classes", v1alpha1.VerdictCheckFailed, "unwanted")
	g.agrees(t)
}

// compact has etcd forget all revisions but the present one.
func (g *ground) compact(t *testing.T) {
	t.Helper()
	state := struct {
		Components map[string]struct {
			Port int `json:"port"`
		} `json:"components"`
	}{}
	folder := filepath.Dir(g.Kubeconfig)
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
