package rule

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// authority is a certificate in PEM that is valid until a time.
func authority(t *testing.T, until time.Time) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: until.Add(-time.Hour), NotAfter: until, IsCA: true}
	der, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestABundleTellsWhenItExpires(t *testing.T) {
	early, late := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2028, 1, 2, 3, 4, 5, 0, time.UTC)
	expired, valid := authority(t, early), authority(t, late)
	bundle := func(text string) map[string]any {
		return map[string]any{"caBundle": base64.StdEncoding.EncodeToString([]byte(text)), "url": "x"}
	}
	for name, test := range map[string]struct {
		config map[string]any
		want   string
	}{
		"one certificate":          {bundle(expired), "2027-01-02T03:04:05Z"},
		"the old and the new":      {bundle(expired + valid), "2028-01-02T03:04:05Z"},
		"the new and the old":      {bundle(valid + "\n# between\n" + expired), "2028-01-02T03:04:05Z"},
		"a key beside it":          {bundle("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" + valid), "2028-01-02T03:04:05Z"},
		"a damaged one beside it":  {bundle("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + valid), "2028-01-02T03:04:05Z"},
		"no certificate":           {bundle("\n"), "none"},
		"no base64":                {map[string]any{"caBundle": "%%"}, "none"},
		"no text":                  {map[string]any{"caBundle": int64(1)}, "none"},
		"none":                     {map[string]any{"url": "x"}, "none"},
		"a field of its own there": {map[string]any{"caBundle": bundle(valid)["caBundle"], "caBundleExpires": "own"}, "own"},
	} {
		t.Run(name, func(t *testing.T) {
			object := widget("a", nil)
			object["clientConfig"] = test.config
			expires := compiled(t, v1alpha1.Rule{Expression: "false", MessageExpression: "object.clientConfig.?caBundleExpires.orValue('none')"})
			for _, fields := range []*Fields{expires.ReadFields(""), AllFields()} {
				c := newCluster(t)
				c.has(widgets, fields, object)
				if got := c.outcome(expires); len(got.Objects) != 1 || got.Objects[0].Message != test.want {
					t.Errorf("got %s; want %q", got, test.want)
				}
			}
			if kept := newCluster(t).keep(expires.ReadFields(""), object); strings.Contains(kept.content, `"caBundle"`) {
				t.Errorf("the bundle itself is kept although nobody reads it: %s", kept.content)
			}
		})
	}
}
