package security

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// metrics is the URL of the operator's metrics, as they are served here.
func metrics(t *testing.T) *url.URL {
	t.Helper()
	address, err := url.Parse(env.operator.Metrics)
	cluster.Must(t, err)
	address.Scheme = "https"
	return address
}

// writeCertificate makes a certificate for a name, as something that rotates certificates would.
func writeCertificate(folder, name string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for file, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: certificate},
		"tls.key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(folder, file), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// metricsResponse is what somebody who asked for the metrics got.
type metricsResponse struct {
	code     int
	protocol string
	body     string
}

// scrape asks for the metrics with a token, or without one for "".
func scrape(t *testing.T, path, token string) metricsResponse {
	t.Helper()
	address := metrics(t)
	address.Path = path
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address.String(), nil)
	cluster.Must(t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	// Who may ask is at stake here, and not whom one asks.
	scraper := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	defer scraper.CloseIdleConnections()
	response, err := scraper.Do(request)
	cluster.Must(t, err)
	defer response.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(response.Body)
	cluster.Must(t, err)
	return metricsResponse{response.StatusCode, response.Proto, string(body)}
}

// account makes a ServiceAccount and returns a token of it.
func account(t *testing.T, name string) string {
	t.Helper()
	made := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	cluster.Must(t, env.Client.Create(t.Context(), made))
	request := &authenticationv1.TokenRequest{}
	cluster.Must(t, env.Client.SubResource("token").Create(t.Context(), made, request, &client.SubResourceCreateOptions{}))
	return request.Status.Token
}

// TestMetricsAreForThoseWhoMayReadThem asks without a name, with a false one, without the permission and with it.
func TestMetricsAreForThoseWhoMayReadThem(t *testing.T) {
	nobody, reader := account(t, "nobody"), account(t, "prometheus")
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "prometheus-reads-metrics"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "platformprofile-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: "prometheus"}},
	}
	cluster.Must(t, env.Client.Create(t.Context(), binding))
	for who, test := range map[string]struct {
		token string
		want  int
	}{
		"nobody": {"", http.StatusUnauthorized},
		// controller-runtime makes no difference between a token that the API server refuses and one that it could not review.
		"a false token": {"eyJhbGciOiJub25lIn0.e30.", http.StatusInternalServerError},
		"a stranger":    {nobody, http.StatusForbidden},
	} {
		if got := scrape(t, "/metrics", test.token); got.code != test.want || strings.Contains(got.body, "platformprofile_") {
			t.Errorf("%s gets %d, want %d: %.200s", who, got.code, test.want, got.body)
		}
	}
	cluster.Eventually(t, "Prometheus gets the metrics", func() (bool, string) { // the authorizer learns of the binding in a moment
		got := scrape(t, "/metrics", reader)
		if got.code != http.StatusOK || !strings.Contains(got.body, "platformprofile_build_info") {
			return false, http.StatusText(got.code)
		}
		if got.protocol != "HTTP/1.1" {
			t.Errorf("metrics are served by %s", got.protocol)
		}
		return true, ""
	})
	if got := scrape(t, "/debug/pprof/", reader); got.code != http.StatusNotFound {
		t.Errorf("beside the metrics something else is served: %d", got.code)
	}
}

// servedCertificate is the name in the certificate that the metrics are served with, and the version of TLS.
func servedCertificate(t *testing.T, newest uint16) (string, uint16, error) {
	t.Helper()
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: &tls.Config{InsecureSkipVerify: true, MaxVersion: newest}}
	conn, err := dialer.DialContext(t.Context(), "tcp", metrics(t).Host)
	if err != nil {
		return "", 0, err
	}
	defer conn.Close() //nolint:errcheck // nothing was written
	state := conn.(*tls.Conn).ConnectionState()
	return state.PeerCertificates[0].Subject.CommonName, state.Version, nil
}

// TestMetricsAreServedByTLS asserts that nothing older than TLS 1.3 is accepted, and that a certificate is replaced while the
// operator runs.
func TestMetricsAreServedByTLS(t *testing.T) {
	if name, version, err := servedCertificate(t, 0); err != nil || name != "first.example.com" || version != tls.VersionTLS13 {
		t.Errorf("served with the certificate of %s, by %s: %v", name, tls.VersionName(version), err)
	}
	if _, version, err := servedCertificate(t, tls.VersionTLS12); err == nil {
		t.Errorf("%s is accepted", tls.VersionName(version))
	}
	cluster.Must(t, writeCertificate(env.certificates, "second.example.com"))
	cluster.Eventually(t, "the new certificate is served", func() (bool, string) {
		name, _, err := servedCertificate(t, 0)
		cluster.Must(t, err)
		if name != "second.example.com" {
			return false, "it is the one of " + name
		}
		return true, ""
	})
}

// TestACertificateThatIsNotThere asserts that the operator does not serve with another one instead.
func TestACertificateThatIsNotThere(t *testing.T) {
	program := filepath.Join(env.Dir, "operator")
	o, err := env.Launch(t.Context(), program, nil, "--metrics-insecure=false", "--metrics-cert-dir", t.TempDir())
	cluster.Must(t, err)
	defer o.Stop()
	cluster.Eventually(t, "the log names what is missing", func() (bool, string) {
		output, err := os.ReadFile(o.Log)
		cluster.Must(t, err)
		if !strings.Contains(string(output), "loading the certificate of the metrics endpoint (--metrics-cert-dir): open ") {
			return false, "it does not"
		}
		return true, ""
	})
}
