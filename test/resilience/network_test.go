package resilience

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
	"github.com/platformprofile/platformprofile/test/cluster"
	"k8s.io/apimachinery/pkg/util/wait"
)

// startTCPProxy starts a proxy in front of a target, until the test ends.
func startTCPProxy(t *testing.T, target string) *tcpProxy {
	t.Helper()
	proxy, err := newTCPProxy(target)
	cluster.Must(t, err)
	t.Cleanup(proxy.close)
	return proxy
}

// TestNetworkBreaksOffAndIsSlow tests that no change is lost and no verdict changes when connections break off, hang for seconds or
// are slow.
func TestNetworkBreaksOffAndIsSlow(t *testing.T) {
	tc, ctx := acquireCluster(t), context.Background()
	proxy := startTCPProxy(t, hostOf(t, tc.Config.Host))
	tc.startOperator(t, "https://"+proxy.address(), nil)
	tc.awaitMatchesCheck(t)
	for range 5 {
		cluster.Eventually(t, "the operator is connected", func() (bool, string) { return proxy.connections() > 0, "" })
		proxy.dropConnections()
	}
	tc.awaitMatchesCheck(t)
	if is, message := tc.verdict("faults", "apps", "app"); is != v1alpha1.VerdictSatisfied {
		t.Errorf("connections that broke off made apps/app %s: %s", is, message)
	}

	proxy.delayPackets(150 * time.Millisecond)
	tc.removeAtEnd(t, unwantedClass)
	cluster.Must(t, tc.apply(ctx, parseObject(unwantedClass)))
	t.Logf("300 ms away, a change is written after %s",
		tc.awaitVerdict(t, "storage", "classes", v1alpha1.VerdictCheckFailed, "unwanted").Round(time.Millisecond))
	proxy.restore()

	proxy.blackhole()
	cluster.Must(t, tc.remove(ctx, parseObject(unwantedClass)))
	time.Sleep(5 * time.Second)
	proxy.restore()
	back := time.Now()
	tc.awaitVerdict(t, "storage", "classes", v1alpha1.VerdictSatisfied, "")
	tc.awaitMatchesCheck(t)
	t.Logf("right %s after a hang of 5 s", time.Since(back).Round(time.Millisecond))
}

// TestNetworkGoneUntilPatienceEnds restores the network at random moments around the one in which sources become Failing: no
// transition is written, because nothing changed in the cluster.
func TestNetworkGoneUntilPatienceEnds(t *testing.T) {
	tc, ctx := acquireCluster(t), context.Background()
	proxy := startTCPProxy(t, hostOf(t, tc.Config.Host))
	tc.startOperator(t, "https://"+proxy.address(), nil)
	tc.awaitMatchesCheck(t)
	changed := tc.changedAt(t, "apps", "app")
	chance := newRandom(t)
	for _, gone := range []func() error{func() error { proxy.reject(); return nil }, proxy.stopListening, proxy.stopListening} {
		cluster.Must(t, gone())
		// The operator's cluster.Timeout is fifteen seconds, and it looks every five whether that is over.
		down := 14*time.Second + time.Duration(chance.Int64N(int64(7*time.Second)))
		time.Sleep(down)
		proxy.restore()
		back := time.Now()
		cluster.Must(t, tc.apply(ctx, parseObject(unwantedClass)))
		tc.awaitVerdict(t, "storage", "classes", v1alpha1.VerdictCheckFailed, "unwanted")
		t.Logf("gone for %s, right %s after it is back", down.Round(time.Millisecond), time.Since(back).Round(time.Millisecond))
		cluster.Must(t, tc.remove(ctx, parseObject(unwantedClass)))
		tc.awaitVerdict(t, "storage", "classes", v1alpha1.VerdictSatisfied, "")
		tc.awaitMatchesCheck(t)
		if again := tc.changedAt(t, "apps", "app"); !again.Equal(changed) {
			t.Errorf("gone for %s, apps/app changed at %s, and before at %s", down, again, changed)
			changed = again
		}
	}
}

// isolatedOperator is an operator whose network fails.
type isolatedOperator struct {
	*testCluster
	proxy    *tcpProxy
	operator *cluster.Operator
	since    time.Time
	// unknownAfter and unreadyAfter receive how long it took until metrics and readiness reported it.
	unknownAfter, unreadyAfter chan time.Duration
}

// startIsolatedOperator starts an operator, and then makes its network fail.
func (tc *testCluster) startIsolatedOperator(t *testing.T, happen func(*tcpProxy)) *isolatedOperator {
	t.Helper()
	proxy := startTCPProxy(t, hostOf(t, tc.Config.Host))
	s := &isolatedOperator{testCluster: tc, proxy: proxy, operator: tc.startOperator(t, "https://"+proxy.address(), nil), unknownAfter: make(chan time.Duration, 1), unreadyAfter: make(chan time.Duration, 1)}
	tc.awaitMatchesCheck(t)
	happen(proxy)
	s.since = time.Now()
	go s.measure(s.unknownAfter, func() bool {
		return metric(s.operator, `platformprofile_source_state{source="deployments.apps",state="Failing"}`) == 1 &&
			metric(s.operator, `platformprofile_status_condition{condition="Conformant",profile="faults",status="unknown"}`) == 1
	})
	go s.measure(s.unreadyAfter, func() bool {
		ready, message := s.operator.Ready(context.Background())
		return !ready && strings.Contains(message, "inventory failed")
	})
	return s
}

// measure sends how long it takes until a condition holds, and closes the channel.
func (s *isolatedOperator) measure(took chan<- time.Duration, so func() bool) {
	err := wait.PollUntilContextTimeout(context.Background(), 500*time.Millisecond, cluster.Timeout, true,
		func(context.Context) (bool, error) { return so(), nil })
	if err == nil {
		took <- time.Since(s.since)
	}
	close(took)
}

// testReportsUnknown waits until metrics and readiness report that the API server does not answer.
func (s *isolatedOperator) testReportsUnknown(t *testing.T) {
	t.Helper()
	unknown, ok := <-s.unknownAfter
	if !ok {
		t.Fatal("metrics do not report that nothing can be read")
	}
	unready, ok := <-s.unreadyAfter
	if !ok {
		t.Fatal("it is ready all the while")
	}
	if age, gone := contactAge(s.operator), time.Since(s.since); age < gone-10*time.Second || age > gone+90*time.Second {
		t.Errorf("cut off for %s, the operator reports contact with the API server %s ago", gone, age)
	}
	t.Logf("metrics report Unknown after %s, readiness fails after %s", unknown.Round(time.Second), unready.Round(time.Second))
}

// testRecovers tests that statuses are right after the network is restored.
func (s *isolatedOperator) testRecovers(t *testing.T) {
	t.Helper()
	s.proxy.restore()
	back := time.Now()
	cluster.Eventually(t, "the operator is ready again", func() (bool, string) { return s.operator.Ready(context.Background()) })
	s.awaitMatchesCheck(t)
	t.Logf("right %s after the network was mended", time.Since(back).Round(time.Millisecond))
	s.operator.Stop()
}

// TestExpiredWatches tests that an operator lists again when its resource versions are compacted: etcd is compacted and the API
// server restarted while the operator is cut off.
func TestExpiredWatches(t *testing.T) {
	tc, ctx := acquireCluster(t), context.Background()
	proxy := startTCPProxy(t, hostOf(t, tc.Config.Host))
	tc.startOperator(t, "https://"+proxy.address(), nil)
	tc.awaitMatchesCheck(t)
	tc.removeAtEnd(t, unwantedClass)
	tc.removeAtEnd(t, secondWidget)
	proxy.reject()
	for i := range 20 {
		cluster.Must(t, tc.apply(ctx, parseObject(fmt.Sprintf("{apiVersion: faults.example.com/v1alpha1, kind: Widget, metadata: {name: second}, spec: {ok: %t}}", i%2 == 0))))
	}
	cluster.Must(t, tc.apply(ctx, parseObject(unwantedClass)))
	tc.compact(t)
	cluster.Must(t, tc.Control(ctx, "restart", "kube-apiserver"))
	proxy.restore()
	tc.awaitVerdict(t, "storage", "classes", v1alpha1.VerdictCheckFailed, "unwanted")
	tc.awaitMatchesCheck(t)
}

// compact compacts all revisions of etcd but the latest one.
func (tc *testCluster) compact(t *testing.T) {
	t.Helper()
	state := struct {
		Components map[string]struct {
			Port int `json:"port"`
		} `json:"components"`
	}{}
	folder := filepath.Dir(tc.Kubeconfig)
	data, err := os.ReadFile(filepath.Join(folder, "state.json"))
	cluster.Must(t, err)
	cluster.Must(t, json.Unmarshal(data, &state))
	certificate, err := tls.LoadX509KeyPair(filepath.Join(folder, "pki", "apiserver-etcd-client.crt"),
		filepath.Join(folder, "pki", "apiserver-etcd-client.key"))
	cluster.Must(t, err)
	etcd := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{
		Certificates: []tls.Certificate{certificate}, InsecureSkipVerify: true,
	}}}
	call := func(path, body string) string {
		response, err := etcd.Post(fmt.Sprintf("https://127.0.0.1:%d/v3/kv/%s", state.Components["etcd"].Port, path), "application/json", strings.NewReader(body))
		cluster.Must(t, err)
		defer response.Body.Close() //nolint:errcheck // it is read
		var content bytes.Buffer
		_, err = content.ReadFrom(response.Body)
		cluster.Must(t, err)
		if response.StatusCode != http.StatusOK {
			t.Fatalf("etcd answers %s to %s: %s", response.Status, path, content.String())
		}
		return content.String()
	}
	answer := struct {
		Header struct {
			Revision string `json:"revision"`
		} `json:"header"`
	}{}
	cluster.Must(t, json.Unmarshal([]byte(call("range", `{"key":"AA=="}`)), &answer))
	revision, err := strconv.ParseInt(answer.Header.Revision, 10, 64)
	cluster.Must(t, err)
	call("compaction", fmt.Sprintf(`{"revision":"%d"}`, revision))
}
