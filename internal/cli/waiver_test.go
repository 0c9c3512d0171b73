package cli

import (
	"encoding/json"
	"encoding/xml"
	"path/filepath"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// waiverManifest waives the verdict Missing on security/b of the profile p until noon.
const waiverManifest = `---
apiVersion: platformprofile.dev/v1alpha1
kind: PlatformWaiver
metadata: {name: vault-later}
spec:
  profile: p
  requirement: security/b
  verdicts: [Missing]
  reason: the vault moves in December
  by: security-team
  url: https://tickets.example/7
  expires: "2026-11-25T12:00:00Z"
`

const (
	beforeNoon = "2026-11-25T11:59:59Z"
	noon       = "2026-11-25T12:00:00Z"
)

// TestWaiverEndsInEveryOutput checks that every output shows the requirement as waived until the second before the waiver ends, and as
// failing from then on. The waiver is in the file of -f, and among the files of --from.
func TestWaiverEndsInEveryOutput(t *testing.T) {
	profile := newProfile("{name: a, capability: runtime-security}, {name: b, anyOf: [{component: vault}]}")
	inProfile := writeFiles(t, map[string]string{"p.yaml": profile + waiverManifest, "m/falco.yaml": falcoManifest})
	inSource := writeFiles(t, map[string]string{"p.yaml": profile, "m/falco.yaml": falcoManifest, "m/waivers.yaml": waiverManifest})
	const waived = "waived until 2026-11-25 12:00 UTC by security-team: the vault moves in December (https://tickets.example/7)"
	for _, folder := range []string{inProfile, inSource} {
		check := func(format, at string) (int, string) {
			file, from := filepath.Join(folder, "p.yaml"), filepath.Join(folder, "m")
			code, out, errOut := run("", "check", "-f", file, "--from", from, "--at", at, "-o", format)
			if errOut != "" {
				t.Errorf("%s: %s", format, errOut)
			}
			return code, out
		}
		for format, isWaived := range map[string]func(out string) bool{
			"table": func(out string) bool {
				return strings.Contains(out, "conformant: True   score: 1/2 (1 waived)") && strings.Contains(out, "Missing (waived)") &&
					strings.Contains(out, waived)
			},
			"wide": func(out string) bool {
				return strings.Contains(out, "Missing (waived)") && strings.Contains(out, waived)
			},
			"json": func(out string) bool {
				var p v1alpha1.PlatformProfile
				if err := json.Unmarshal([]byte(out), &p); err != nil {
					t.Fatal(err)
				}
				r := p.Status.Layers[0].Requirements[1]
				return r.Waived != nil && r.Waived.Waiver == "vault-later" && p.Status.Conditions[0].Reason == "ConformantWithWaivers"
			},
			"yaml": func(out string) bool { return strings.Contains(out, "waiver: vault-later") },
			"junit": func(out string) bool {
				var report junit
				if err := xml.Unmarshal([]byte(out), &report); err != nil {
					t.Fatal(err)
				}
				return report.Skipped == 1 && report.Failures == 0 && strings.Contains(out, waived)
			},
			"sarif": func(out string) bool {
				var report sarif.Report
				if err := json.Unmarshal([]byte(out), &report); err != nil {
					t.Fatal(err)
				}
				suppressions := report.Runs[0].Results[0].Suppressions
				return len(suppressions) == 1 && *suppressions[0].Justification == waived
			},
			"html": func(out string) bool {
				return strings.Contains(out, "Conformant with waivers") && strings.Contains(out, "vault-later: "+waived)
			},
		} {
			if code, out := check(format, beforeNoon); code != ExitOK || !isWaived(out) {
				t.Errorf("%s, a second before the end: exit code %d:\n%s", format, code, out)
			}
			if code, out := check(format, noon); code != ExitFound || isWaived(out) {
				t.Errorf("%s, at the end: exit code %d:\n%s", format, code, out)
			}
		}
	}
	explain := func(at string) string {
		_, out, _ := run("", "explain", "b", "-f", filepath.Join(inProfile, "p.yaml"), "--from", filepath.Join(inProfile, "m"), "--at", at)
		return out
	}
	if out := explain(beforeNoon); !strings.Contains(out, "it is waived") || !strings.Contains(out, "PlatformWaiver vault-later: "+waived) {
		t.Errorf("explain a second before the end:\n%s", out)
	}
	if out := explain(noon); strings.Contains(out, "waived") || !strings.Contains(out, "the profile is not conformant") {
		t.Errorf("explain at the end:\n%s", out)
	}
}

func TestInvalidWaivers(t *testing.T) {
	profile := newProfile("{name: b, anyOf: [{component: vault}]}")
	for name, test := range map[string]struct{ from, to, want string }{
		"too long":        {"2026-11-25", "2028-01-01", "spec.expires: Invalid value"},
		"without an end":  {`  expires: "2026-11-25T12:00:00Z"` + "\n", "", "spec.expires: Required value"},
		"no range":        {"  reason:", "  component: vault\n  versions: old\n  reason:", "spec.versions: Invalid value"},
		"no component":    {"  reason:", "  versions: \"<2\"\n  reason:", "'versions' are those of a component"},
		"Unknown":         {"[Missing]", "[Missing, Unknown]", "only failing verdicts can be waived"},
		"no layer":        {"security/b", "security", "write the requirement as LAYER/NAME"},
		"an unknown word": {"  by:", "  until: never\n  by:", "unknown field spec.until"},
		"from the future": {"metadata: {name: vault-later}", `metadata: {name: vault-later, creationTimestamp: "2098-12-01T00:00:00Z"}`,
			"spec.expires: Invalid value"},
		"twice": {"---\n", waiverManifest + "---\n", "there are two of this name"},
	} {
		manifest := strings.Replace(waiverManifest, test.from, test.to, 1)
		if name == "from the future" {
			manifest = strings.Replace(manifest, "2026-11-25T12", "2099-01-31T12", 1)
		}
		file := filepath.Join(writeFiles(t, map[string]string{"p.yaml": profile + manifest}), "p.yaml")
		code, _, errOut := run(falcoManifest, "check", "-f", file, "--from", "-", "--at", beforeNoon)
		if code != ExitError || !strings.Contains(errOut, test.want) || !strings.Contains(errOut, `PlatformWaiver "vault-later"`) {
			t.Errorf("%s: exit code %d: %s", name, code, errOut)
		}
	}
}

// TestWaiversThatWaiveNothing checks the warnings, and that waivers in a List count.
func TestWaiversThatWaiveNothing(t *testing.T) {
	profile := newProfile("{name: b, anyOf: [{component: vault}]}")
	check := func(profile, files string, flags ...string) (int, string) {
		folder := writeFiles(t, map[string]string{"p.yaml": profile, "m/m.yaml": falcoManifest + "---\n" + files})
		code, out, errOut := run("", append([]string{"check", "-f", filepath.Join(folder, "p.yaml"), "--from", filepath.Join(folder, "m"),
			"--at", beforeNoon}, flags...)...)
		return code, out + errOut
	}
	_, waiver, _ := strings.Cut(waiverManifest, "---\n")
	list := "---\napiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimSpace(waiver), "\n", "\n  ") + "\n"
	if code, out := check(profile+list, ""); code != ExitOK || !strings.Contains(out, "1 waived") {
		t.Errorf("a waiver in a List: exit code %d:\n%s", code, out)
	}
	if _, out := check(profile+strings.Replace(waiverManifest, "security/b", "security/bb", 1), ""); !strings.Contains(out,
		"Warning: PlatformWaiver vault-later waives nothing: the profile has no requirement security/bb") {
		t.Errorf("a requirement that does not exist:\n%s", out)
	}
	long := strings.Replace(waiver, "2026-11-25T12", "2029-11-25T12", 1)
	const want = "PlatformWaiver vault-later waives nothing: spec.expires: Invalid value"
	if code, out := check(profile, long); code != ExitFound || !strings.Contains(out, "Warning: "+want) {
		t.Errorf("a waiver of years: exit code %d:\n%s", code, out)
	}
	if code, out := check(profile, long, "--strict"); code != ExitError || !strings.Contains(out, want) {
		t.Errorf("a waiver of years with --strict: exit code %d:\n%s", code, out)
	}
}

// TestBaseline checks that a check with a baseline fails only on what the saved result does not have.
func TestBaseline(t *testing.T) {
	profile := newProfile("{name: b, anyOf: [{component: vault}]}, {name: c, rule: {resource: {group: example.com, resource: widgets}, listExpression: 'true', message: m}}")
	profile = strings.Replace(profile, "spec: {", "spec: {undeclared: Forbid, ", 1)
	const installed = falcoManifest + "---\napiVersion: v1\nkind: Node\nmetadata: {name: node-1}\n"
	folder := writeFiles(t, map[string]string{"p.yaml": profile, "m/falco.yaml": installed})
	file, from := filepath.Join(folder, "p.yaml"), filepath.Join(folder, "m")
	code, saved, errOut := run("", "check", "-f", file, "--from", from, "-o", "json")
	if code != ExitFound {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	checkWith := func(profile, manifests, baseline string) (int, string, string) {
		folder := writeFiles(t, map[string]string{"p.yaml": profile, "m.yaml": manifests, "saved.json": baseline})
		return run("", "check", "-f", filepath.Join(folder, "p.yaml"), "--from", filepath.Join(folder, "m.yaml"),
			"--baseline", filepath.Join(folder, "saved.json"))
	}
	if code, out, errOut := checkWith(profile, installed, saved); code != ExitOK || !strings.Contains(out, "score: 0/2 (2 waived)") ||
		!strings.Contains(out, "waived by saved.json: the baseline has it since 2") {
		t.Errorf("the same again: exit code %d:\n%s%s", code, out, errOut)
	}
	more := strings.Replace(profile, "{name: b,", "{name: d, anyOf: [{component: velero}]}, {name: b,", 1)
	if code, out, _ := checkWith(more, installed, saved); code != ExitFound || !strings.Contains(out, "score: 0/3 (2 waived)") {
		t.Errorf("another requirement: exit code %d:\n%s", code, out)
	}
	const other = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: velero, namespace: velero}\n" +
		"spec: {template: {spec: {containers: [{name: v, image: 'velero/velero:v1.16.0'}]}}}\n"
	if code, out, _ := checkWith(profile, installed+other, saved); code != ExitFound || strings.Contains(out, "falco 0.40.0 guard") ||
		!strings.Contains(out, "velero 1.16.0 velero") {
		t.Errorf("another undeclared component: exit code %d:\n%s", code, out)
	}
	worse := strings.Replace(profile, "component: vault", "component: falco, version: '>=1'", 1)
	if code, out, _ := checkWith(worse, installed, saved); code != ExitFound || !strings.Contains(out, "VersionMismatch") {
		t.Errorf("another verdict: exit code %d:\n%s", code, out)
	}
	const two = "{name: b, anyOf: [{component: falco, version: '>=9'}, {component: velero, version: '>=9'}]}"
	folder = writeFiles(t, map[string]string{"p.yaml": newProfile(two), "m.yaml": falcoManifest})
	_, saved, _ = run("", "check", "-f", filepath.Join(folder, "p.yaml"), "--from", filepath.Join(folder, "m.yaml"), "-o", "json")
	if code, out, _ := checkWith(newProfile(two), other, saved); code != ExitFound || strings.Contains(out, "waived") {
		t.Errorf("the same verdict on another component: exit code %d:\n%s", code, out)
	}
	folder = writeFiles(t, map[string]string{"p.yaml": newProfile(two), "m.yaml": falcoManifest, "saved.json": saved})
	_, again, _ := run("", "check", "-f", filepath.Join(folder, "p.yaml"), "--from", filepath.Join(folder, "m.yaml"),
		"--baseline", filepath.Join(folder, "saved.json"), "-o", "yaml")
	if code, out, errOut := checkWith(newProfile(two), falcoManifest, again); code != ExitOK {
		t.Errorf("the result of a check with a baseline as the baseline: exit code %d:\n%s%s", code, out, errOut)
	}
	for baseline, want := range map[string]string{
		`{"items": [null]}`: "has no verdicts",
		strings.Replace(saved, `"name": "p"`, `"name": "q"`, 1): `has no result of the profile "p"`,
		profile: `the profile "p" has no verdicts`,
		"[":     "saved.json",
	} {
		if code, _, errOut := checkWith(profile, installed, baseline); code != ExitError || !strings.Contains(errOut, want) {
			t.Errorf("a baseline without %s: exit code %d: %s", want, code, errOut)
		}
	}
}
