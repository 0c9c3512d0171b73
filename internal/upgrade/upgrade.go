package upgrade

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/inventory"
)

// Severity is the consequence of a finding.
type Severity string

// The severities, from the worst to the least.
const (
	// Blocking must be solved before the upgrade, or it fails or breaks something.
	Blocking Severity = "Blocking"
	// Unknown may be Blocking: facts or permissions are missing.
	Unknown Severity = "Unknown"
	// Warning does not prevent the upgrade.
	Warning Severity = "Warning"
)

// Category is the kind of a finding.
type Category string

// The categories, in the order of the report.
const (
	Compatibility Category = "Compatibility"
	RemovedAPI    Category = "RemovedAPI"
	Skew          Category = "Skew"
	Drain         Category = "Drain"
	Support       Category = "Support"
	StoredVersion Category = "StoredVersion"
	Webhook       Category = "Webhook"
	APIService    Category = "APIService"
	Unreadable    Category = "Unreadable"
)

var (
	categories = []Category{Compatibility, RemovedAPI, Skew, Drain, Support, StoredVersion, Webhook, APIService, Unreadable}
	severities = []Severity{Blocking, Unknown, Warning}
)

// Finding is one thing that blocks the upgrade, or may.
type Finding struct {
	Severity Severity `json:"severity"`
	Category Category `json:"category"`
	// Subject is the component, API or object, for example "istio 1.24.1 in istio-system".
	Subject string `json:"subject"`
	Message string `json:"message"`
	// Remediation says what to do; empty if there is nothing to do.
	Remediation string `json:"remediation,omitempty"`
	// Source is the page or file with the facts; empty if there is none.
	Source string `json:"source,omitempty"`
	// Evidence are the objects that the finding is about, at most a few.
	Evidence []v1alpha1.Evidence `json:"evidence,omitempty"`
}

// Step is a step of the upgrade.
type Step struct {
	// When is "before", "with" or "after" the control plane.
	When string `json:"when"`
	Do   string `json:"do"`
}

// Plan is the result. Its JSON fields are stable.
type Plan struct {
	// Current and Target are minor versions of Kubernetes; Current is empty if it is unknown.
	Current string `json:"current,omitempty"`
	Target  string `json:"target"`
	// FactsUpTo is the newest release of Kubernetes in the catalog's facts, and FactsAsOf the day of the oldest statement that was used.
	FactsUpTo string        `json:"factsUpTo,omitempty"`
	FactsAsOf v1alpha1.Date `json:"factsAsOf,omitempty"`
	Findings  []Finding     `json:"findings"`
	Steps     []Step        `json:"steps"`
}

// Worst returns the worst severity of the findings that decide the exit code: Blocking, Unknown, or empty.
func (p *Plan) Worst() Severity {
	for _, severity := range []Severity{Blocking, Unknown} {
		if slices.ContainsFunc(p.Findings, func(f Finding) bool { return f.Severity == severity }) {
			return severity
		}
	}
	return ""
}

// Reader reads objects of a cluster or of files.
type Reader interface {
	// Each calls do with each object of a resource in group and version; an empty version is the preferred one. It returns an error if the
	// objects cannot be read, and nil if the resource is not served.
	Each(ctx context.Context, group, version, resource string, do func(*unstructured.Unstructured)) error
	// Uses calls do with each use of one of the APIs that can be observed. An API that a cluster does not serve is not in use.
	Uses(ctx context.Context, apis []API, do func(Use)) error
}

// Use is a use of an API.
type Use struct {
	API API
	// Namespace and Name are those of the object that is written by the API.
	Namespace, Name string
	// By is who used it, and when: a field manager, or a file.
	By string
}

// NewPlan determines what blocks an upgrade to a version of Kubernetes.
func NewPlan(ctx context.Context, s *inventory.Snapshot, r Reader, target *semver.Version, now time.Time) *Plan {
	p := &planner{
		Plan: &Plan{Findings: []Finding{}, Steps: []Step{}}, ctx: ctx, snapshot: s, reader: r, now: now,
	}
	var kubernetes catalog.Releases
	if component := s.Component("kubernetes"); component != nil {
		kubernetes = component.Definition.Releases
	}
	p.target = catalog.NewKubernetesRelease(target, kubernetes)
	p.Target = p.target.String()
	if current, ok := conformance.KubernetesVersion(s, ""); ok {
		p.current, p.Current = &current, current.String()
	}
	if len(kubernetes) > 0 {
		p.FactsUpTo = kubernetes[len(kubernetes)-1].Cycle
	}
	p.checkComponents()
	p.checkAPIs()
	p.checkNodes()
	p.checkBudgets()
	p.checkCRDs()
	p.checkWebhooks()
	p.checkAPIServices()
	p.addControlPlaneSteps()
	slices.SortStableFunc(p.Findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(slices.Index(severities, a.Severity), slices.Index(severities, b.Severity)),
			cmp.Compare(slices.Index(categories, a.Category), slices.Index(categories, b.Category)), strings.Compare(a.Subject, b.Subject))
	})
	slices.SortStableFunc(p.Steps, func(a, b Step) int {
		order := []string{before, with, after}
		return cmp.Compare(slices.Index(order, a.When), slices.Index(order, b.When))
	})
	return p.Plan
}

// The times of a step.
const (
	before = "before"
	with   = "with"
	after  = "after"
)

type planner struct {
	*Plan
	ctx      context.Context //nolint:containedctx // a planner lives for one call
	snapshot *inventory.Snapshot
	reader   Reader
	now      time.Time
	target   catalog.KubernetesRelease
	current  *catalog.KubernetesRelease
	// oldKubelets are the steps for kubelets outside the skew. A kubelet must not be newer than the control plane either.
	oldKubelets []string
}

func (p *planner) add(f Finding) { p.Findings = append(p.Findings, f) }

func (p *planner) addStep(when, format string, args ...any) {
	p.Steps = append(p.Steps, Step{when, fmt.Sprintf(format, args...)})
}

// each calls do with each object of a resource, and adds a finding if the objects cannot be read.
func (p *planner) each(group, resource string, do func(*unstructured.Unstructured)) {
	if err := p.reader.Each(p.ctx, group, "", resource, do); err != nil {
		p.add(Finding{Severity: Unknown, Category: Unreadable, Subject: resource, Message: err.Error(),
			Remediation: "Grant permission to list them, or read a dump with --from."})
	}
}

// checkComponents adds the components that do not support the target, or whose support has ended.
func (p *planner) checkComponents() {
	for _, component := range p.snapshot.InstalledComponents() {
		if component.Definition.Provides("orchestrator") {
			continue // it is what is upgraded
		}
		for i := range component.Installations {
			p.checkInstallation(component.Definition, &component.Installations[i])
		}
	}
	for _, reason := range p.snapshot.UnreadableSources() {
		p.add(Finding{Severity: Unknown, Category: Unreadable, Subject: "components", Message: reason})
	}
}

func (p *planner) checkInstallation(component *catalog.Component, installation *inventory.Installation) {
	subject := strings.TrimSpace(component.Name + " " + installation.Version)
	if installation.Namespace != "" {
		subject += " in " + installation.Namespace
	}
	finding := Finding{Category: Compatibility, Subject: subject}
	c := component.Releases.CompatibilityWith(installation.Version, p.target)
	if c.Release != nil {
		finding.Source = c.Release.Source
		if asOf := v1alpha1.Date(c.Release.AsOf.Format(time.DateOnly)); p.FactsAsOf == "" || asOf < p.FactsAsOf {
			p.FactsAsOf = asOf
		}
	}
	cycles := component.Releases.CyclesFor(p.target)
	switch {
	case !c.IsKnown:
		finding.Severity, finding.Message = Unknown, fmt.Sprintf("it is unknown whether it supports Kubernetes %s: %s", p.target, c.Reason)
		p.add(finding)
	case !c.IsCompatible:
		finding.Severity = Blocking
		finding.Message = fmt.Sprintf("%s supports Kubernetes %s", c.Release.Cycle, c.Release.KubernetesText)
		finding.Remediation = p.adviseComponent(component, subject, c.Release, cycles)
		p.add(finding)
	case p.isTiedToMinor(c.Release):
		p.addStep(with, "Upgrade %s to the release for Kubernetes %s.", subject, p.target)
	}
	p.checkSupport(component, installation, subject)
}

// adviseComponent adds the step for a component that does not support the target, and returns what to do. A release that supports both
// versions of Kubernetes is installed before the control plane.
func (p *planner) adviseComponent(component *catalog.Component, subject string, release *catalog.Release, cycles []string) string {
	if len(cycles) == 0 {
		return fmt.Sprintf("The catalog's facts name no release of %s that supports Kubernetes %s: see %s", component.DisplayName, p.target,
			release.Source)
	}
	advice := "Upgrade to " + oneOf(cycles) + "."
	var both []string
	if p.current != nil {
		supported := component.Releases.CyclesFor(*p.current)
		both = slices.DeleteFunc(slices.Clone(cycles), func(cycle string) bool { return !slices.Contains(supported, cycle) })
	}
	if len(both) > 0 {
		p.addStep(before, "Upgrade %s to %s: it supports both versions.", subject, oneOf(both))
	} else {
		p.addStep(with, "Upgrade %s to %s.", subject, oneOf(cycles))
	}
	return advice
}

func oneOf(cycles []string) string {
	if len(cycles) == 1 {
		return cycles[0]
	}
	return "one of " + strings.Join(cycles, ", ")
}

// isTiedToMinor reports whether a release supports a single minor version of Kubernetes, as a cluster autoscaler does.
func (p *planner) isTiedToMinor(release *catalog.Release) bool {
	for _, neighbour := range []uint64{p.target.Version.Minor() - 1, p.target.Version.Minor() + 1} {
		if release.Kubernetes.Check(semver.New(p.target.Version.Major(), neighbour, 0, "", "")) {
			return false
		}
	}
	return true
}

func (p *planner) checkSupport(component *catalog.Component, installation *inventory.Installation, subject string) {
	support := component.Releases.SupportAt(installation.Version, p.now)
	if support.IsKnown && !support.IsSupported {
		p.add(Finding{
			Severity: Warning, Category: Support, Subject: subject, Source: support.Release.Source,
			Message:     "it is out of support since " + support.Release.LastDay(),
			Remediation: "Upgrade to a supported release.",
		})
	}
}

// addControlPlaneSteps adds the steps for Kubernetes itself, which is upgraded by one minor version at a time.
func (p *planner) addControlPlaneSteps() {
	addKubeletSteps := func(when string) {
		for _, step := range p.oldKubelets {
			p.addStep(when, "%s", step)
		}
	}
	if p.current == nil {
		addKubeletSteps(before)
		p.addStep(with, "Upgrade the control plane to Kubernetes %s.", p.target)
		return
	}
	from, to := p.current.Version, p.target.Version
	kubelets := to.Minor() - maxKubeletSkew
	if kubelets <= from.Minor() {
		addKubeletSteps(before)
	}
	switch {
	case from.Major() != to.Major() || to.Minor() <= from.Minor():
		p.add(Finding{Severity: Blocking, Category: Skew, Subject: "Kubernetes " + p.Current,
			Message: "the cluster is not older than the target " + p.Target, Remediation: "Choose a later version with --to."})
		return
	case to.Minor() > from.Minor()+1:
		p.add(Finding{Severity: Warning, Category: Skew, Subject: "Kubernetes " + p.Current,
			Message:     fmt.Sprintf("the target is %d minor versions ahead", to.Minor()-from.Minor()),
			Remediation: "Upgrade by one minor version at a time.", Source: skewPolicy})
	}
	for minor := from.Minor() + 1; minor <= to.Minor(); minor++ {
		p.addStep(with, "Upgrade the control plane to Kubernetes %d.%d.", to.Major(), minor)
		if minor == kubelets {
			addKubeletSteps(with)
		}
	}
}

// skewPolicy is the page on the versions that work together.
const skewPolicy = "https://kubernetes.io/releases/version-skew-policy/"
