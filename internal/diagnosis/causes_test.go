package diagnosis

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// variables have a value for every variable that code gives to causes.
var variables = map[string]string{
	"namespace": "shop", "pod": "web-0", "node": "n1", "container": "app", "image": "example/app:1", "arch": "(arm64)", "timeout": "1 s",
	"backoffLimit": "6", "activeDeadline": "60 s", "workload": "web",
}

// Each entry of causes.yaml decides its own example, for each symptom and reason of its group: none is shadowed by another.
func TestEveryCauseIsReachable(t *testing.T) {
	for _, group := range causeGroups() {
		for _, c := range group.Causes {
			for _, symptom := range group.Symptoms {
				for _, from := range group.From {
					from = strings.ReplaceAll(from, "*", "Any")
					got, _ := find(symptom, report{reason: from, message: c.Example})
					if got != c {
						name := "nothing"
						if got != nil {
							name = got.Pattern
						}
						t.Fatalf("%s, from %s: the example of %q is decided by %s", symptom, from, c.Pattern, name)
					}
				}
			}
			if c.Level < 1 || c.Level > 3 {
				t.Errorf("%q has level %d", c.Pattern, c.Level)
			}
		}
	}
}

// The entries of a group are sorted by level, so that the order of the file is that of the decision.
func TestCausesAreSortedByLevel(t *testing.T) {
	for _, group := range causeGroups() {
		if !slices.IsSortedFunc(group.Causes, func(a, b *cause) int { return a.Level - b.Level }) {
			t.Errorf("the group of %v from %v is not sorted by level", group.Symptoms, group.From)
		}
	}
}

var variable = regexp.MustCompile(`\$\{(\w+)\}`)

// The texts of causes use only named groups and known variables, name known symptoms, and are sentences without a value that is missing.
func TestCauseTexts(t *testing.T) {
	for _, group := range causeGroups() {
		for _, symptom := range group.Symptoms {
			if !slices.Contains(Symptoms, symptom) {
				t.Errorf("%s is no symptom", symptom)
			}
		}
		for _, c := range group.Causes {
			for _, text := range slices.Concat([]string{c.Cause}, c.More, c.Commands) {
				for _, used := range variable.FindAllStringSubmatch(text, -1) {
					name := used[1]
					if name == "Kind" {
						name = "kind"
					}
					if c.expression.SubexpIndex(name) < 0 && variables[name] == "" {
						t.Errorf("%q: nothing sets %s", text, used[0])
					}
				}
			}
			for _, name := range c.expression.SubexpNames() {
				if _, shadows := variables[name]; shadows {
					t.Errorf("%q: the group %s hides the variable of the pod", c.Pattern, name)
				}
			}
			e := explain(group.Symptoms[0], variables, []report{{reason: strings.ReplaceAll(group.From[0], "*", "Any"), message: c.Example}})
			if len(e.causes) == 0 || strings.ContainsAny(e.causes[0], "\n$") || strings.Contains(e.causes[0], "  ") {
				t.Errorf("%q becomes %q", c.Cause, e.causes)
			}
			if len(e.commands) != len(c.Commands) {
				t.Errorf("%q: a command lacks a value: %q", c.Pattern, e.commands)
			}
			for _, command := range e.commands {
				if !strings.HasPrefix(command, "kubectl ") {
					t.Errorf("%q is no kubectl command", command)
				}
			}
			if !strings.Contains(e.quote, strings.Join(strings.Fields(c.Example), " ")[:1]) || e.quote == "" {
				t.Errorf("%q is not quoted: %q", c.Example, e.quote)
			}
		}
	}
}

// Each entry says in a comment above it, or above one of those directly before it, where its text was found.
func TestCausesNameTheirSources(t *testing.T) {
	data, err := os.ReadFile("causes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	source, previous := "", ""
	for line := range strings.Lines(string(data)) {
		switch trimmed := strings.TrimSpace(line); {
		case strings.HasPrefix(trimmed, "#"):
			source = trimmed
		case strings.HasPrefix(trimmed, "- symptoms:") && !strings.HasPrefix(previous, "#"):
			source = ""
		case source == "" && (strings.HasPrefix(trimmed, "- pattern:") || strings.HasPrefix(trimmed, "- level:")):
			t.Errorf("no source above %s", trimmed)
		}
		previous = strings.TrimSpace(line)
	}
}

// The specific report decides, however often a general one is repeated. One without an entry is quoted, before those that only say that
// something took too long.
func TestExplainWeighsAllReports(t *testing.T) {
	at := func(minutes int) time.Time { return now.Add(time.Duration(-minutes) * time.Minute) }
	timeout := report{"FailedMount", "Unable to attach or mount volumes: unmounted volumes=[data]: timed out waiting for the condition", "the kubelet", at(9), at(1), 1}
	missing := report{"FailedMount", `MountVolume.SetUp failed for volume "tls" : secret "tls" not found`, "the kubelet", at(9), at(5), 1}
	strange := report{"FailedMount", `MountVolume.SetUp failed for volume "x" : flux capacitor is empty`, "the kubelet", at(9), at(8), 1}
	for name, test := range map[string]struct {
		reports []report
		want    string
	}{
		"the specific one": {[]report{timeout, missing, timeout}, "the Secret tls that it mounts does not exist in shop"},
		"the unknown one":  {[]report{timeout, strange}, `the kubelet says: MountVolume.SetUp failed for volume "x" : flux capacitor is empty`},
		"specific before unknown": {
			[]report{strange, missing}, "the Secret tls that it mounts does not exist in shop",
		},
		"the general one alone": {[]report{timeout}, "the volume data is not ready in time, and nobody says why: see the events of its claim, and whether its driver responds"},
	} {
		e := explain(VolumeMountFailed, variables, test.reports)
		if len(e.causes) == 0 || e.causes[0] != test.want {
			t.Errorf("%s: got %q, want %q", name, e.causes, test.want)
		}
		if strings.Contains(name, "specific") && (!strings.Contains(e.quote, `secret "tls" not found`) || !e.since.Equal(at(9))) {
			t.Errorf("%s: quote %q, since %s", name, e.quote, e.since)
		}
	}
}

// The end of a message is kept, because the reason stands there.
func TestShortenKeepsTheEnd(t *testing.T) {
	long := "Failed to create pod sandbox: " + strings.Repeat("wörter ", 200) + "no space left on device"
	got := shorten(long)
	isCut := len(got) <= 400 && strings.HasPrefix(got, "Failed to create") && strings.HasSuffix(got, "no space left on device")
	if !isCut || !utf8.ValidString(got) {
		t.Errorf("got %d bytes: %q", len(got), got)
	}
	if got := shorten("a\n  b"); got != "a b" {
		t.Errorf("got %q", got)
	}
}

// A value that a shell could interpret leaves its command out, and never the cause.
func TestUnsafeNamesInCommands(t *testing.T) {
	message := `driver name evil;reboot not found in the list of registered CSI drivers`
	vars := map[string]string{"node": "$(reboot)"}
	e := explain(VolumeMountFailed, vars, []report{{reason: "FailedMount", message: message}})
	for _, command := range e.commands {
		if strings.Contains(command, "reboot") {
			t.Errorf("unsafe command %q", command)
		}
	}
	if len(e.causes) == 0 || len(e.commands) != 1 {
		t.Errorf("got %+v", e)
	}
}

func TestSourceOf(t *testing.T) {
	for want, e := range map[string]corev1.Event{
		"the kubelet":                {},
		"the scheduler":              {Source: corev1.EventSource{Component: "default-scheduler"}},
		"the attach controller":      {ReportingController: "attachdetach-controller"},
		"the replicaset controller":  {Source: corev1.EventSource{Component: "replicaset-controller"}},
		"the statefulset controller": {ObjectMeta: metav1.ObjectMeta{Name: "x"}, Source: corev1.EventSource{Component: "statefulset-controller"}},
	} {
		if got := sourceOf(&e); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
