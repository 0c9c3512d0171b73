package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/cli"
	"github.com/platformprofile/platformprofile/internal/openreports"
	"github.com/platformprofile/platformprofile/test/cluster"
	"github.com/platformprofile/platformprofile/test/gitops"
)

var update = flag.Bool("update", false, "write docs/states.md")

// statesHead is the part of docs/states.md before the table.
const statesHead = `# States and outputs

This page is for authors of pipelines, gates and dashboards. It shows what each output says about a requirement in each state. A test
writes the table: it creates a profile for each state on a real control plane, waits for the operator, runs the command line with the
operator's permissions, tries a new workload behind the gate, and runs the health checks of Argo CD and Flux.

`

// column is an output, and what it says about the requirement of a profile.
type column struct {
	title string
	cell  func(profile string) string
}

// TestStates runs every output on every state of a requirement, and compares the result with docs/states.md.
func TestStates(t *testing.T) {
	t.Parallel()
	states := createStates(t)
	var table strings.Builder
	columns := stateColumns(t, states)
	fmt.Fprint(&table, statesHead, "| state |")
	for _, c := range columns {
		fmt.Fprintf(&table, " %s |", c.title)
	}
	fmt.Fprint(&table, "\n|", strings.Repeat(" --- |", len(columns)+1), "\n")
	for _, s := range states {
		fmt.Fprintf(&table, "| %s |", s.title)
		for _, c := range columns {
			fmt.Fprintf(&table, " %s |", c.cell(s.name()))
		}
		fmt.Fprintln(&table)
	}
	page := filepath.Join(cluster.Root(), "docs", "states.md")
	if *update {
		cluster.Must(t, os.WriteFile(page, []byte(table.String()), 0o600))
	}
	want, err := os.ReadFile(page)
	cluster.Must(t, err)
	if table.String() != string(want) {
		t.Errorf("docs/states.md differs; go test ./test/e2e -run TestStates -update writes it. Now it is:\n%s", table.String())
	}
}

// stateRequirement is the name of the requirement in each profile: that of an item of the checklist of AI conformance.
const stateRequirement = "gang-scheduling"

// state is a profile with one requirement in the layer states.
type state struct {
	title       string
	requirement v1alpha1.Requirement
	verdict     v1alpha1.Verdict
	isWaived    bool
	isSuspended bool
	gracePeriod time.Duration
}

func (s state) name() string {
	return "state-" + strings.Trim(regexp.MustCompile(`[^a-z]+`).ReplaceAllString(strings.ToLower(s.title), "-"), "-")
}

// allStates returns every verdict on Required and Recommended requirements, each failing one waived, and the states of a profile.
func allStates() []state {
	past := metav1.NewTime(time.Now().Add(-time.Hour))
	requirements := map[v1alpha1.Verdict]v1alpha1.Requirement{
		v1alpha1.VerdictSatisfied:       cluster.AnyOf(stateRequirement, "state-a", ""),
		v1alpha1.VerdictAttested:        {Name: stateRequirement, Attestation: &v1alpha1.Attestation{By: "us", Reason: "outside"}},
		v1alpha1.VerdictMissing:         cluster.AnyOf(stateRequirement, "state-none", ""),
		v1alpha1.VerdictDegraded:        cluster.AnyOf(stateRequirement, "state-sick", ""),
		v1alpha1.VerdictVersionMismatch: cluster.AnyOf(stateRequirement, "state-a", ">=2"),
		v1alpha1.VerdictCheckFailed:     storageClassesAre("false"),
		v1alpha1.VerdictConflict: {
			Name: stateRequirement, Exclusive: true, AnyOf: []v1alpha1.ComponentChoice{{Component: "state-a"}, {Component: "state-b"}},
		},
		v1alpha1.VerdictForbidden: {
			Name: stateRequirement, Presence: v1alpha1.PresenceAbsent, AnyOf: []v1alpha1.ComponentChoice{{Component: "state-a"}},
		},
		v1alpha1.VerdictExpired: {Name: stateRequirement, Attestation: &v1alpha1.Attestation{By: "us", Reason: "outside", Expires: &past}},
		v1alpha1.VerdictUnknown: {Name: stateRequirement, Rule: &v1alpha1.Rule{
			Resource: &v1alpha1.ResourceReference{Resource: "podtemplates"}, ListExpression: "true", Message: "nobody may read them",
		}},
	}
	verdicts := []v1alpha1.Verdict{
		v1alpha1.VerdictSatisfied, v1alpha1.VerdictAttested, v1alpha1.VerdictMissing, v1alpha1.VerdictDegraded,
		v1alpha1.VerdictVersionMismatch, v1alpha1.VerdictCheckFailed, v1alpha1.VerdictConflict, v1alpha1.VerdictForbidden,
		v1alpha1.VerdictExpired, v1alpha1.VerdictUnknown,
	}
	var states []state
	for _, verdict := range verdicts {
		states = append(states, state{title: string(verdict), requirement: requirements[verdict], verdict: verdict})
	}
	for _, verdict := range verdicts[2:9] {
		states = append(states, state{title: string(verdict) + ", waived", requirement: requirements[verdict], verdict: verdict, isWaived: true})
	}
	for _, verdict := range verdicts {
		recommended := requirements[verdict]
		recommended.Severity = v1alpha1.SeverityRecommended
		states = append(states, state{title: string(verdict) + ", Recommended", requirement: recommended, verdict: verdict})
	}
	missing := requirements[v1alpha1.VerdictMissing]
	recommended := missing
	recommended.Severity = v1alpha1.SeverityRecommended
	invalid := cluster.AnyOf(stateRequirement, "state-a", "new")
	return append(states,
		state{title: "Missing, Recommended and waived", requirement: recommended, verdict: v1alpha1.VerdictMissing, isWaived: true},
		state{title: "CheckFailed, within the grace period", requirement: storageClassesAre("objects.all(c, c.metadata.name != 'state')"),
			verdict: v1alpha1.VerdictCheckFailed, gracePeriod: time.Hour},
		state{title: "Unknown, because of a mistake in the spec", requirement: invalid, verdict: v1alpha1.VerdictUnknown},
		state{title: "Missing, and suspended since", requirement: missing, verdict: v1alpha1.VerdictMissing, isSuspended: true},
	)
}

func storageClassesAre(expression string) v1alpha1.Requirement {
	return v1alpha1.Requirement{Name: stateRequirement, Rule: &v1alpha1.Rule{
		Resource:       &v1alpha1.ResourceReference{Group: "storage.k8s.io", Resource: "storageclasses"},
		ListExpression: expression, Message: "the classes are as they should be",
	}}
}

// createStates creates a profile for each state, and waits until the operator has evaluated all of them.
func createStates(t *testing.T) []state {
	t.Helper()
	ctx := context.Background()
	create := func(object client.Object) {
		t.Helper()
		cluster.Must(t, env.Client.Create(ctx, object))
		t.Cleanup(func() { cluster.Must(t, client.IgnoreNotFound(env.Client.Delete(ctx, object))) })
	}
	create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "states"}})
	for _, name := range []string{"state-a", "state-b", "state-sick", "state-none"} {
		create(cluster.Component(name, "states/"+name))
	}
	create(cluster.Deployment("states", "a", "states/state-a:v1.0.0"))
	create(cluster.Deployment("states", "b", "states/state-b:v1.0.0"))
	sick, second := cluster.Deployment("states", "sick", "states/state-sick:v1.0.0"), int32(1)
	sick.Spec.ProgressDeadlineSeconds, sick.Spec.Template.Spec.NodeSelector = &second, map[string]string{"no": "such-node"}
	create(sick)
	// The profiles come when all that they are about is there, so that each has the events of its state alone.
	installed := createProfile(t, "states-installed", cluster.Layer("states", cluster.AnyOf("a", "state-a", ""),
		cluster.AnyOf("b", "state-b", ""), cluster.AnyOf("sick", "state-sick", ""), cluster.AnyOf("none", "state-none", "")))
	installed.AwaitLast(t, "all is installed", func(p *v1alpha1.PlatformProfile) bool {
		return cluster.VerdictIs("states", "a", v1alpha1.VerdictSatisfied)(p) &&
			cluster.VerdictIs("states", "b", v1alpha1.VerdictSatisfied)(p) &&
			cluster.VerdictIs("states", "sick", v1alpha1.VerdictDegraded)(p) && len(p.Status.Conditions) == 3
	})
	states := allStates()
	profiles := map[string]*cluster.WatchedProfile{}
	for _, s := range states {
		profile := cluster.Profile(s.name(), cluster.Layer("states", s.requirement))
		profile.Labels, profile.Spec.GracePeriod = map[string]string{"states": "true"}, &metav1.Duration{Duration: s.gracePeriod}
		profiles[s.name()] = env.CreateWatchedProfile(t, profile)
		if s.isWaived {
			create(newWaiver(s.name(), s.name(), "states/"+stateRequirement, s.verdict, time.Now().Add(time.Hour)))
		}
		if s.gracePeriod > 0 { // only a profile that conformed has one
			profiles[s.name()].AwaitLast(t, "it conforms", cluster.VerdictIs("states", stateRequirement, v1alpha1.VerdictSatisfied))
		}
	}
	create(cluster.StorageClass("state"))
	for _, s := range states {
		profiles[s.name()].AwaitLast(t, s.name()+" is "+string(s.verdict), func(p *v1alpha1.PlatformProfile) bool {
			r := cluster.FindRequirement(p, "states", stateRequirement)
			return r != nil && r.Verdict == s.verdict && (r.Waived != nil) == s.isWaived
		})
		if s.isSuspended {
			profile := profiles[s.name()].Last()
			profile.Spec.Suspend = true
			cluster.Must(t, env.Client.Update(ctx, profile))
			profiles[s.name()].AwaitLast(t, "it is suspended", func(p *v1alpha1.PlatformProfile) bool {
				return p.Status.ObservedGeneration == p.Generation
			})
		}
	}
	env.Barrier(t) // events are published after the status is written
	return states
}

// stateColumns runs every output on the profiles of the states.
func stateColumns(t *testing.T, states []state) []column {
	t.Helper()
	ctx := context.Background()
	list := &v1alpha1.PlatformProfileList{}
	cluster.Must(t, env.Client.List(ctx, list, client.MatchingLabels{"states": "true"}))
	profiles := map[string]*v1alpha1.PlatformProfile{}
	for i := range list.Items {
		profiles[list.Items[i].Name] = &list.Items[i]
	}
	kubeconfig := filepath.Join(t.TempDir(), "operator.kubeconfig")
	cluster.Must(t, env.WriteOperatorConfig(ctx, kubeconfig))
	check := func(args ...string) (int, string) {
		var out, errOut bytes.Buffer
		code := cli.Execute(append([]string{"check", "--kubeconfig", kubeconfig}, args...), strings.NewReader(""), &out, &errOut)
		if out.Len() == 0 {
			t.Fatalf("check %s: %s", args, errOut.String())
		}
		return code, out.String()
	}
	all := func(format string) string {
		_, out := check("-l", "states=true", "-o", format)
		return out
	}
	argo := gitops.HealthCheck(t, "PlatformProfile")
	flux, _, _ := gitops.Expressions(t)
	return []column{
		{"Conformant", func(name string) string {
			c := meta.FindStatusCondition(profiles[name].Status.Conditions, v1alpha1.ConditionConformant)
			return string(c.Status) + ", " + c.Reason
		}},
		{"score", func(name string) string { return profiles[name].Status.Score }},
		{"events", stateEvents(t)},
		{"metrics", stateMetrics(scrape(t))},
		{"exit code of `check`", func(name string) string {
			code, _ := check(name)
			return fmt.Sprint(code)
		}},
		{"table", stateTable(all("table"))},
		{"JUnit", stateJUnit(t, all("junit"))},
		{"SARIF", stateSARIF(t, all("sarif"))},
		{"[report](reports.md)", func(name string) string { return string(openreports.New(profiles[name]).Results[0].Result) }},
		{"page", statePage(all("html"))},
		{"[AI checklist](ai-conformance.md)", stateChecklist(all("ai-conformance"))},
		{"[gate](admission-gate.md)", stateGate(t, states)},
		{"Argo CD", func(name string) string {
			status, _ := gitops.Health(t, argo, gitops.Object(t, profiles[name]))
			return status
		}},
		{"Flux", func(name string) string { return gitops.FluxStatus(t, flux, gitops.Object(t, profiles[name])) }},
	}
}

// stateGate binds the policy of config/gate to each profile, and returns whether its namespace takes new workloads.
func stateGate(t *testing.T, states []state) func(string) string {
	t.Helper()
	ctx := context.Background()
	create := func(objects ...client.Object) {
		t.Helper()
		for _, object := range objects {
			cluster.Must(t, env.Client.Create(ctx, object))
			t.Cleanup(func() { cluster.Must(t, client.IgnoreNotFound(env.Client.Delete(ctx, object))) })
		}
	}
	read := func(file, profile string) []*unstructured.Unstructured {
		data, err := os.ReadFile(filepath.Join(cluster.Root(), "config", "gate", file))
		cluster.Must(t, err)
		// Another test installs config/gate itself.
		text := strings.NewReplacer("name: platformprofile-gate", "name: states-gate", "policyName: platformprofile-gate",
			"policyName: states-gate", "production", profile).Replace(string(data))
		objects, err := cluster.Parse([]byte(text))
		cluster.Must(t, err)
		return objects
	}
	create(read("policies.yaml", "")[0])
	bind := func(profile string) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: profile, Labels: map[string]string{requiresLabel: profile}}}
		create(namespace, read("bindings.yaml", profile)[0])
	}
	for _, s := range states {
		bind(s.name())
	}
	try := func(profile string) error {
		return env.Client.Create(ctx, cluster.Deployment(profile, "new", "new"), client.DryRunAll)
	}
	// The API server follows bindings in their order.
	last := &v1alpha1.PlatformProfile{ObjectMeta: metav1.ObjectMeta{Name: "state-last"}}
	last.Spec.Layers = []v1alpha1.Layer{cluster.Layer("states", cluster.AnyOf(stateRequirement, "state-none", ""))}
	create(last)
	bind(last.Name)
	cluster.Eventually(t, "the gate is closed", func() (bool, string) { return try(last.Name) != nil, "it is open" })
	return func(profile string) string {
		switch err := try(profile); {
		case err == nil:
			return "open"
		case strings.Contains(err.Error(), "states-gate"):
			return "closed"
		default:
			t.Errorf("%s: %v", profile, err)
			return "error"
		}
	}
}

// stateEvents returns the reasons of the events on a profile.
func stateEvents(t *testing.T) func(string) string {
	t.Helper()
	list := &eventsv1.EventList{}
	cluster.Must(t, env.Client.List(context.Background(), list))
	return func(profile string) string {
		var reasons []string
		for _, event := range list.Items {
			if event.Regarding.Kind == "PlatformProfile" && event.Regarding.Name == profile && event.Action != "Evaluate" {
				reasons = append(reasons, event.Reason)
			}
		}
		slices.Sort(reasons)
		return orNone(strings.Join(slices.Compact(reasons), ", "))
	}
}

// stateMetrics returns the verdict of the metric, and whether there is one of a waiver.
func stateMetrics(text string) func(string) string {
	return func(profile string) string {
		verdict := regexp.MustCompile(`platformprofile_requirement_verdict\{[^}]*profile="` + profile + `"[^}]*verdict="(\w+)"\} 1`).
			FindStringSubmatch(text)
		if verdict == nil {
			return "none"
		}
		if regexp.MustCompile(`platformprofile_waiver_expiry_timestamp_seconds\{[^}]*profile="` + profile + `"`).MatchString(text) {
			return verdict[1] + ", waiver"
		}
		return verdict[1]
	}
}

// stateTable returns the column VERDICT.
func stateTable(text string) func(string) string {
	return func(profile string) string {
		_, section, _ := strings.Cut(text, "PlatformProfile "+profile+" ")
		row := regexp.MustCompile(`(?m)^states +` + stateRequirement + ` +(.+?)   `).FindStringSubmatch(section)
		return row[1]
	}
}

// stateJUnit returns what a test report makes of the requirement.
func stateJUnit(t *testing.T, text string) func(string) string {
	t.Helper()
	var report struct {
		Suites []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Failure, Error, Skipped *struct{}
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	text = strings.NewReplacer("<failure", "<Failure", "</failure", "</Failure", "<error", "<Error", "</error", "</Error",
		"<skipped", "<Skipped", "</skipped", "</Skipped").Replace(text)
	cluster.Must(t, xml.Unmarshal([]byte(text), &report))
	return func(profile string) string {
		for _, suite := range report.Suites {
			if suite.Name != profile+"/states" {
				continue
			}
			switch c := suite.Cases[0]; {
			case c.Failure != nil:
				return "failure"
			case c.Error != nil:
				return "error"
			case c.Skipped != nil:
				return "skipped"
			}
			return "passed"
		}
		return "none"
	}
}

// stateSARIF returns the level of the result of the requirement.
func stateSARIF(t *testing.T, text string) func(string) string {
	t.Helper()
	var report sarif.Report
	cluster.Must(t, json.Unmarshal([]byte(text), &report))
	return func(profile string) string {
		for _, result := range report.Runs[0].Results {
			if *result.RuleID != profile+"/states/"+stateRequirement {
				continue
			}
			if len(result.Suppressions) > 0 {
				return result.Level + ", suppressed"
			}
			return result.Level
		}
		return "none"
	}
}

// statePage returns the label of the requirement on the page.
func statePage(text string) func(string) string {
	return func(profile string) string {
		_, section, _ := strings.Cut(text, "<h2>"+profile+"</h2>")
		return regexp.MustCompile(`<b>` + stateRequirement + `</b>(?s:.*?)<span class="label">([^<]*)</span>`).FindStringSubmatch(section)[1]
	}
}

// stateChecklist returns the status of the item.
func stateChecklist(text string) func(string) string {
	return func(profile string) string {
		_, document, _ := strings.Cut(text, "PlatformProfile "+profile+"\n")
		return orNone(regexp.MustCompile(`id: gang_scheduling\n.*\n +status: "?([^"\n]*)`).FindStringSubmatch(document)[1])
	}
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
