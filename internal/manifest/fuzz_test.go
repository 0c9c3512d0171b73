package manifest

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

// FuzzProfiles decodes arbitrary input. An error is valid UTF-8 and names the document. Profiles are the same after they are encoded and
// decoded again.
func FuzzProfiles(f *testing.F) {
	const head = "apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformProfile\nmetadata: {name: x}\nspec:\n"
	for _, text := range []string{
		head + "  layers: [{name: a, requirements: [{name: b, capability: cni}]}]\n",
		head + "  interval: 1m\n  gracePeriod: 1h\n  undeclared: Forbid\n  layers: [{name: a, requirements: [{name: b, anyOf: [{component: x, version: '>=1'}], checks: [{name: c, parameters: {a: b}}]}]}]\n",
		head + "  layers: [{name: a, requirements: [{name: b, rule: {resource: {group: g, version: v, resource: r}, expression: 'true', message: m}}]}]\n---\nkind: Other\napiVersion: v1\n",
		head + "  layers: [{name: a, requirements: [{name: b, attestation: {by: c, reason: d, url: 'https://x', expires: 2027-01-02T03:04:05Z}}]}]\n",
		head + "  layers: [{name: a, requirements: [{name: b, attestation: {by: c, reason: d, expires: soon}}]}]\n", head + "  layrs: []\n", head + "  layers: []\n  layers: []\n", "\xef\xbb\xbf" + head + "  layers: 1\n",
		"a: &a [x]\nb: [*a, *a]\n", "---\n---\n", "{}", "[]", "\x00", "!!binary x", "? a\n: b", "- - - -", head + "  interval: 1e400\n",
		"%YAML 1.2\n---\nkind: 9223372036854775808",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		for name, line := range LineNumbers(data) {
			if line < 0 ||
				line > bytes.Count(data, []byte("\n"))+bytes.Count(data, []byte("\r"))+1+strings.Count(string(data),
					"\u2028")+strings.Count(string(data), "\u2029")+strings.Count(string(data), "\u0085") {
				t.Fatalf("%q is on line %d of %q", name, line, data)
			}
		}
		profiles, err := Profiles(bytes.NewReader(data))
		if took := time.Since(start); took > time.Minute {
			t.Fatalf("%d bytes took %s", len(data), took)
		}
		if err != nil {
			text := err.Error()
			if !utf8.ValidString(text) || !strings.HasPrefix(text, "document ") && !strings.HasPrefix(text, "no PlatformProfile") {
				t.Fatalf("the error does not name the document, or is not valid UTF-8: %q", text)
			}
			return
		}
		var written []byte
		for _, profile := range profiles {
			encoded, err := yaml.Marshal(profile)
			if err != nil {
				t.Fatal(err)
			}
			written = append(append(written, "---\n"...), encoded...)
		}
		again, err := Profiles(bytes.NewReader(written))
		if err != nil || !reflect.DeepEqual(again, profiles) {
			t.Fatalf("%+v decoded again are %+v, %v", profiles, again, err)
		}
	})
}
