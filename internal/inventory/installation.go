package inventory

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/diagnosis"
	"github.com/platformprofile/platformprofile/internal/facts"
)

// maxEvidence bounds what is shown for an installation. A thousand nodes prove a container runtime no better than a few.
const maxEvidence = 16

const (
	labelInstance = "app.kubernetes.io/instance"
	labelVersion  = "app.kubernetes.io/version"
	labelChart    = "helm.sh/chart"
)

// member is a record that matched the component, with how.
type member struct {
	*record
	catalog.Match
	ref facts.Ref
}

// installationBuilder is one installation being put together.
type installationBuilder struct {
	namespace, instance string
	proofs, supports    []member
	degraded            []facts.Ref // filled by health
}

// deriveComponent says what is found of a component, and when to look again because a deadline passes.
func (i *Inventory) deriveComponent(definition *catalog.Component, records map[*record]catalog.Match) (*Component, time.Time) {
	state := &Component{Definition: definition}
	state.UnreadableSources, state.IsPartlyUnreadable = i.unreadableSources(definition)
	proofs, supports := sortMembers(records)
	if len(proofs) == 0 {
		state.Leftovers = newEvidence(supports)
		return state, time.Time{}
	}
	var until time.Time
	for _, c := range attachSupports(groupProofs(proofs), supports) {
		installation := Installation{Namespace: c.namespace, Evidence: newEvidence(append(slices.Clone(c.proofs), c.supports...))}
		installation.Version, installation.VersionFrom = i.findVersion(definition.Versions, c.proofs, catalog.VersionSource.ExtractVersion)
		installation.Variant, _ = i.findVersion(definition.Variants, c.proofs, catalog.VersionSource.ExtractVariant)
		installation.SemVer, _ = catalog.ParseVersion(installation.Version)
		var deadline time.Time
		installation.Health, installation.Message, deadline = i.deriveHealth(definition, c)
		installation.DegradedWorkloads = c.degraded
		for _, ref := range c.degraded {
			installation.Diagnoses = append(installation.Diagnoses, i.diagnoses[ref]...)
		}
		diagnosis.Sort(installation.Diagnoses)
		if !deadline.IsZero() && (until.IsZero() || deadline.Before(until)) {
			until = deadline
		}
		state.Installations = append(state.Installations, installation)
	}
	slices.SortStableFunc(state.Installations, func(a, b Installation) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Version, b.Version))
	})
	return state, until
}

// unreadableSources names the sources that could prove the component and cannot be seen, and tells whether a kind of workload is
// among them.
func (i *Inventory) unreadableSources(definition *catalog.Component) (blind []string, obscured bool) {
	for _, name := range definition.ProofSources() {
		s := i.sources[name]
		switch {
		case s == nil || s.state == facts.Pending:
			blind = append(blind, name+" were not read yet")
		case s.state.IsUnreadable():
			blind = append(blind, s.reason)
		default:
			continue
		}
		obscured = obscured || catalog.IsWorkloadSource(name)
	}
	return blind, obscured
}

func sortMembers(records map[*record]catalog.Match) (proofs, supports []member) {
	for r, match := range records {
		m := member{r, match, r.fact.ObjectRef()}
		if match.Role == v1alpha1.RoleProof {
			proofs = append(proofs, m)
		} else {
			supports = append(supports, m)
		}
	}
	for _, members := range [][]member{proofs, supports} {
		slices.SortFunc(members, func(a, b member) int {
			return cmp.Or(a.Compare(b.Match), strings.Compare(a.ref.Kind, b.ref.Kind),
				strings.Compare(a.ref.Namespace, b.ref.Namespace), strings.Compare(a.ref.Name, b.ref.Name))
		})
	}
	return proofs, supports
}

// groupProofs puts proofs together into copies: one for each namespace, more where releases in one namespace each have the
// same workload. What belongs to nodes or to the whole cluster makes a copy only where no workload does.
func groupProofs(proofs []member) []*installationBuilder {
	var copies []*installationBuilder
	var clusterWide []member
	split := sharedNamespaces(proofs)
	for _, proof := range proofs {
		w, ok := proof.fact.(*facts.Workload)
		if !ok {
			clusterWide = append(clusterWide, proof)
			continue
		}
		instance := ""
		if split[w.Namespace] {
			instance = releaseOf(w)
		}
		c := findBuilder(copies, w.Namespace, instance)
		if c == nil {
			c = &installationBuilder{namespace: w.Namespace, instance: instance}
			copies = append(copies, c)
		}
		c.proofs = append(c.proofs, proof)
	}
	if len(copies) == 0 {
		return []*installationBuilder{{proofs: clusterWide}}
	}
	for _, c := range copies {
		c.supports = append(c.supports, clusterWide...)
	}
	return copies
}

// sharedNamespaces are those in which the same signal finds the same kind of workload under two release names.
func sharedNamespaces(proofs []member) map[string]bool {
	type role struct{ namespace, kind, signal string }
	seen := map[role]string{}
	shared := map[string]bool{}
	for _, proof := range proofs {
		w, ok := proof.fact.(*facts.Workload)
		if !ok {
			continue
		}
		instance := releaseOf(w)
		if instance == "" {
			continue
		}
		component, _ := w.Label("app.kubernetes.io/component")
		key := role{w.Namespace, w.Kind, proof.Key() + component}
		if before, ok := seen[key]; ok && before != instance {
			shared[w.Namespace] = true
		}
		seen[key] = instance
	}
	return shared
}

// releaseOf is the Helm release that a workload belongs to. The label alone does not tell: operators number the daemons of
// one installation with it, as Rook does with Ceph's monitors.
func releaseOf(w *facts.Workload) string {
	_, chart := w.Label(labelChart)
	if !chart && !w.HasLabel("app.kubernetes.io/managed-by", "Helm") {
		return ""
	}
	instance, _ := w.Label(labelInstance)
	return instance
}

func findBuilder(copies []*installationBuilder, namespace, instance string) *installationBuilder {
	for _, c := range copies {
		if c.namespace == namespace && c.instance == instance {
			return c
		}
	}
	return nil
}

// attachSupports gives each supporting object to the copy that it belongs to: by namespace and release; to all where it belongs
// to the whole cluster; to the only copy where there is one. What could belong to any of several belongs to none.
func attachSupports(copies []*installationBuilder, supports []member) []*installationBuilder {
	for _, support := range supports {
		namespace, instance := support.ref.Namespace, ""
		switch fact := support.fact.(type) {
		case *facts.Workload:
			instance = releaseOf(fact)
		case *facts.Named:
			namespace = fact.Service
		}
		var of *installationBuilder
		beside := 0
		for _, c := range copies {
			if c.namespace != namespace {
				continue
			}
			beside++
			if c.instance == instance || c.instance == "" {
				of = c
			}
		}
		switch {
		case of != nil:
			of.supports = append(of.supports, support)
		case beside > 0:
			// Several releases share the namespace, and it is of none of them.
		case len(copies) == 1:
			copies[0].supports = append(copies[0].supports, support)
		case namespace == "":
			for _, c := range copies {
				c.supports = append(c.supports, support)
			}
		}
	}
	return copies
}

// findVersion is what the sources tell of a copy, for instance its version, and which of them did: the first that yields something,
// asked of each proof in turn. Where nodes differ it is the lowest version, because a range must hold on every node.
func (i *Inventory) findVersion(sources []catalog.VersionSource, proofs []member, pick func(catalog.VersionSource, string) string) (text string, from v1alpha1.VersionOrigin) {
	for _, source := range sources {
		if source.Rule != nil {
			// A rule that fails on what is there says nothing; the next source may.
			if outcome := i.outcomes[source.Rule.Key]; outcome != nil {
				if version := pick(source, outcome.Text); version != "" {
					return version, source.From
				}
			}
			continue
		}
		lowest := ""
		for _, proof := range proofs {
			switch fact := proof.fact.(type) {
			case *facts.Workload:
				if version := pick(source, workloadText(source, fact, proof.Tag)); version != "" {
					return version, source.From
				}
			case *facts.APIServer:
				if version := pick(source, apiServerText(source.From, fact)); version != "" {
					return version, source.From
				}
			case *facts.Named:
				if source.From != v1alpha1.VersionFromCRDAnnotation {
					continue
				}
				if version := pick(source, fact.Annotations[source.Annotation]); version != "" {
					return version, source.From
				}
			case *facts.ConfigMap:
				if source.From != v1alpha1.VersionFromConfigMap {
					continue
				}
				for _, key := range slices.Sorted(maps.Keys(fact.Data)) {
					if version := pick(source, fact.Data[key]); version != "" {
						return version, source.From
					}
				}
			case *facts.Node:
				lowest = lowerVersion(lowest, pick(source, nodeText(source, fact)))
			}
		}
		if lowest != "" {
			return lowest, source.From
		}
	}
	return "", ""
}

func workloadText(source catalog.VersionSource, w *facts.Workload, tag string) string {
	switch source.From {
	case v1alpha1.VersionFromWorkloadLabel:
		text, _ := w.Label(source.Label)
		return text
	case v1alpha1.VersionFromImageTag:
		return tag
	case v1alpha1.VersionFromVersionLabel:
		text, _ := w.Label(labelVersion)
		return text
	case v1alpha1.VersionFromChartLabel:
		text, _ := w.Label(labelChart)
		if strings.Contains(text, "-") && catalog.CleanVersion(text) == "" {
			// "cilium-1.18.2" and "cilium-1.18.2-rc.1": the version begins at the first dash that a digit follows.
			for at := range text {
				if text[at] == '-' && at+1 < len(text) && catalog.CleanVersion(text[at+1:]) != "" {
					return text[at+1:]
				}
			}
		}
		return text
	default:
		return ""
	}
}

func apiServerText(from v1alpha1.VersionOrigin, a *facts.APIServer) string {
	if from != v1alpha1.VersionFromAPIServer {
		return ""
	}
	return a.Version
}

func nodeText(source catalog.VersionSource, n *facts.Node) string {
	switch source.From {
	case v1alpha1.VersionFromNodeLabel:
		value, _ := n.Labels.Get(source.Label)
		return value
	case v1alpha1.VersionFromContainerRuntime:
		_, version, _ := strings.Cut(n.ContainerRuntime, "://")
		return version
	case v1alpha1.VersionFromKubelet:
		return n.Kubelet
	case v1alpha1.VersionFromOSImage:
		// "Talos (v1.9.1)": the version begins at the first digit.
		if at := strings.IndexAny(n.OSImage, "0123456789"); at >= 0 {
			return n.OSImage[at:]
		}
	default:
	}
	return ""
}

func lowerVersion(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	va, okA := catalog.ParseVersion(a)
	vb, okB := catalog.ParseVersion(b)
	if okA && okB && vb.LessThan(va) {
		return b
	}
	return a
}

// deriveHealth is the worst of a copy's workloads and of the rules over the component's own resources.
func (i *Inventory) deriveHealth(definition *catalog.Component, c *installationBuilder) (v1alpha1.Health, string, time.Time) {
	worst := v1alpha1.HealthHealthy
	var messages []string
	var until time.Time
	take := func(health v1alpha1.Health, message string) {
		switch {
		case severity(health) > severity(worst):
			worst, messages = health, []string{message}
		case health == worst && message != "":
			messages = append(messages, message)
		}
	}
	running, idle := 0, ""
	for n, m := range append(slices.Clone(c.proofs), c.supports...) {
		w, ok := m.fact.(*facts.Workload)
		if !ok {
			if n < len(c.proofs) {
				running++
			}
			continue
		}
		judged := w.AssessHealth(i.now(), m.complete == w.Rollout.Generation && m.complete > 0)
		if !judged.ValidUntil.IsZero() && (until.IsZero() || judged.ValidUntil.Before(until)) {
			until = judged.ValidUntil
		}
		switch {
		case judged.IsIdle:
			if n < len(c.proofs) {
				idle = w.String() + " runs nowhere: " + judged.Message
			}
			continue
		case n >= len(c.proofs) && w.Rollout.HasStatus && w.Rollout.Desired == 0:
			continue // an optional part that is switched off
		}
		if n < len(c.proofs) {
			running++
		}
		if judged.Health == v1alpha1.HealthDegraded {
			c.degraded = append(c.degraded, w.Ref)
		}
		message := ""
		if judged.Message != "" {
			message = w.String() + ": " + judged.Message
		}
		take(judged.Health, message)
	}
	if running == 0 && idle != "" {
		take(v1alpha1.HealthDegraded, idle)
	}
	for n := range definition.Health {
		take(i.deriveRuleHealth(&definition.Health[n]))
	}
	if len(messages) > 3 {
		messages = append(messages[:3], fmt.Sprintf("and %d more", len(messages)-3))
	}
	return worst, strings.Join(messages, "; "), until
}

// deriveRuleHealth is the health that a rule decides. A resource that the cluster does not serve says nothing, and neither does one that
// was not read yet, or that files hold nothing of.
func (i *Inventory) deriveRuleHealth(health *catalog.HealthRule) (v1alpha1.Health, string) {
	outcome := i.outcomes[health.Instance.Key]
	switch {
	case outcome == nil || outcome.State == facts.NotServed || outcome.State == facts.Pending:
		return v1alpha1.HealthHealthy, ""
	case outcome.State.IsUnreadable():
		return v1alpha1.HealthUnknown, "rule " + health.Name + " cannot look: " + outcome.Reason
	case outcome.Err != nil:
		return v1alpha1.HealthUnknown, "rule " + health.Name + " could not be evaluated: " + outcome.Err.Error()
	case !outcome.IsSatisfied:
		return v1alpha1.HealthDegraded, outcome.Explain(health.Instance.Rule, health.Message)
	}
	return v1alpha1.HealthHealthy, ""
}

func severity(health v1alpha1.Health) int {
	return slices.Index([]v1alpha1.Health{
		v1alpha1.HealthHealthy, v1alpha1.HealthNotObserved, v1alpha1.HealthProgressing, v1alpha1.HealthUnknown, v1alpha1.HealthDegraded,
	}, health)
}

func newEvidence(members []member) []v1alpha1.Evidence {
	if len(members) > maxEvidence {
		members = members[:maxEvidence]
	}
	shown := make([]v1alpha1.Evidence, 0, len(members))
	for _, m := range members {
		shown = append(shown, v1alpha1.Evidence{
			APIVersion: m.ref.APIVersion, Kind: m.ref.Kind, Namespace: m.ref.Namespace, Name: m.ref.Name, Signal: m.Signal,
		})
	}
	return shown
}
