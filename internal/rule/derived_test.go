package rule

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
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
			object := map[string]any{"clientConfig": test.config}
			program, err := Compile(HealthMessage, "objects[0].clientConfig.?caBundleExpires.orValue('none')")
			if err != nil {
				t.Fatal(err)
			}
			for _, fields := range []*Fields{program.Reads(""), Everything()} {
				got, err := program.Text(Input{Objects: Once(fields.Keep(object))})
				if err != nil || got != test.want {
					t.Errorf("got %q, %v; want %q", got, err, test.want)
				}
			}
			keeps, err := Compile(HealthMessage, "string(objects.exists(o, o.clientConfig.?caBundle.hasValue()))")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := keeps.Text(Input{Objects: Once(program.Reads("").Keep(object))}); err != nil || got != "false" {
				t.Errorf("the bundle itself is kept although nobody reads it: %s, %v", got, err)
			}
		})
	}
}

func TestNamedChecksSeeTheVersion(t *testing.T) {
	program, err := Compile(NamedCheck, "version == '1.2.3' && versionFrom == 'ImageTag'")
	if err != nil {
		t.Fatal(err)
	}
	if holds, err := program.Holds(Input{Version: "1.2.3", VersionFrom: "ImageTag"}); err != nil || !holds {
		t.Error(holds, err)
	}
	if holds, err := program.Holds(Input{Version: "1.2.4", VersionFrom: "ImageTag"}); err != nil || holds {
		t.Error(holds, err)
	}
	if !program.UsesVersion() {
		t.Error("it does not know that it looks at the version")
	}
	if other, err := Compile(NamedCheck, "objects.size() > 0"); err != nil || other.UsesVersion() {
		t.Error(err)
	}
	if _, err := Compile(Check, "version == '1.2.3'"); err == nil {
		t.Error("a profile's own check has no component, and sees a version")
	}
}
