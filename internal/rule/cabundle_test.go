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

// certificatePEM returns a certificate in PEM that is valid until a time.
func certificatePEM(t *testing.T, until time.Time) string {
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

func TestCABundleExpires(t *testing.T) {
	early, late := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2028, 1, 2, 3, 4, 5, 0, time.UTC)
	expired, valid := certificatePEM(t, early), certificatePEM(t, late)
	bundle := func(text string) map[string]any {
		return map[string]any{"caBundle": base64.StdEncoding.EncodeToString([]byte(text)), "url": "x"}
	}
	for name, test := range map[string]struct {
		config map[string]any
		want   string
	}{
		"one certificate":         {bundle(expired), "2027-01-02T03:04:05Z"},
		"the old and the new":     {bundle(expired + valid), "2028-01-02T03:04:05Z"},
		"the new and the old":     {bundle(valid + "\n# between\n" + expired), "2028-01-02T03:04:05Z"},
		"a key beside it":         {bundle("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" + valid), "2028-01-02T03:04:05Z"},
		"a damaged one beside it": {bundle("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + valid), "2028-01-02T03:04:05Z"},
		"no certificate":          {bundle("\n"), "none"},
		"no base64":               {map[string]any{"caBundle": "%%"}, "none"},
		"no text":                 {map[string]any{"caBundle": int64(1)}, "none"},
		"none":                    {map[string]any{"url": "x"}, "none"},
		"an existing field":       {map[string]any{"caBundle": bundle(valid)["caBundle"], "caBundleExpires": "existing"}, "existing"},
	} {
		t.Run(name, func(t *testing.T) {
			object := newWidget("a", nil)
			object["clientConfig"] = test.config
			expires := compiledInstance(t,
				v1alpha1.Rule{Expression: "false", MessageExpression: "object.clientConfig.?caBundleExpires.orValue('none')"})
			for _, fields := range []*Fields{expires.ReadFields(""), AllFields()} {
				c := newTestEvaluator(t)
				c.setObjects(widgets, fields, object)
				if got := c.evaluateInstance(expires); len(got.Objects) != 1 || got.Objects[0].Message != test.want {
					t.Errorf("got %s; want %q", got, test.want)
				}
			}
			if pruned := newTestEvaluator(t).prune(expires.ReadFields(""), object); strings.Contains(pruned.content, `"caBundle"`) {
				t.Errorf("the caBundle is cached although no rule reads it: %s", pruned.content)
			}
		})
	}
}
