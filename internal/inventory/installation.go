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

// maxEvidence limits the evidence of an installation: a container runtime runs on every node.
const maxEvidence = 16

const (
	labelInstance = "app.kubernetes.io/instance"
	labelVersion  = "app.kubernetes.io/version"
	labelChart    = "helm.sh/chart"
)

// member is a record that matches the component.
type member struct {
	*record
	catalog.Match
	ref facts.Ref
}

// installationBuilder collects the members of an installation.
type installationBuilder struct {
	namespace, release string
	proofs, supports   []member
	degradedWorkloads  []facts.Ref // set by deriveHealth
}

// deriveComponent returns the state of a component, and when it must be derived again because a deadline passes; zero for never.
func (i *Inventory) deriveComponent(definition *catalog.Component, records map[*record]catalog.Match) (*Component, time.Time) {
	state := &Component{Definition: definition}
	state.UnreadableSources, state.IsPartlyUnreadable = i.unreadableSources(definition)
	proofs, supports, declarations := i.sortMembers(records)
	state.FailedDeclarations = describeFailures(declarations)
	declared := i.declaredObjects(definition)
	isWanted := !i.isDeclarative && len(proofs) == 0 && len(state.UnreadableSources) == 0
	if i.isDeclarative || isWanted {
		proofs = append(proofs, declared...)
	}
	if len(proofs) == 0 {
		state.Leftovers = newEvidence(supports)
		return state, time.Time{}
	}
	var until time.Time
	for _, b := range attachSupports(groupProofs(proofs), supports) {
		installation := Installation{Namespace: b.namespace, Evidence: newEvidence(append(slices.Clone(b.proofs), b.supports...))}
		installation.Version, installation.VersionFrom = i.findVersion(definition.Versions, b.proofs, catalog.VersionSource.ExtractVersion)
		if installation.Version == "" {
			installation.Version, installation.ChartVersion = declaredVersion(b.proofs)
			if installation.Version != "" {
				installation.VersionFrom = v1alpha1.VersionFromDeclaration
			}
		}
		installation.Variant, _ = i.findVersion(definition.Variants, b.proofs, catalog.VersionSource.ExtractVariant)
		installation.SemVer, _ = catalog.ParseVersion(installation.Version)
		var deadline time.Time
		installation.Health, installation.Message, deadline = i.deriveHealth(definition, b)
		if isWanted {
			installation.Health, installation.Message = v1alpha1.HealthDegraded, describeWanted(b.proofs)
		}
		manager := b.findManager(declarations)
		installation.ManagedBy = manager.String()
		if failure := failureOf(manager, declarations); failure != "" && installation.Health == v1alpha1.HealthDegraded {
			installation.Message += "; " + failure
		}
		installation.DegradedWorkloads = b.degradedWorkloads
		for _, ref := range b.degradedWorkloads {
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

// unreadableSources returns a message for each source that may prove the component and is not readable, and whether one of them is a kind
// of workload.
func (i *Inventory) unreadableSources(definition *catalog.Component) (messages []string, isPartlyUnreadable bool) {
	for _, name := range definition.ProofSources() {
		s := i.sources[name]
		switch {
		case s == nil || s.state == facts.Pending:
			messages = append(messages, name+" has not synced yet")
		case s.state.IsUnreadable():
			messages = append(messages, s.reason)
		default:
			continue
		}
		isPartlyUnreadable = isPartlyUnreadable || catalog.IsWorkloadSource(name)
	}
	if i.isDeclarative {
		for _, name := range definition.FileSources() {
			if s := i.sources[name]; s != nil && s.state.IsUnreadable() {
				messages = append(messages, s.reason)
			}
		}
	}
	return messages, isPartlyUnreadable
}

// sortMembers returns the records that prove the component, that support an installation, and that declare one, each sorted.
func (i *Inventory) sortMembers(
	records map[*record]catalog.Match,
) (proofs, supports []member, declarations []*facts.Declaration) {
	for r, match := range records {
		m := member{r, match, r.fact.ObjectRef()}
		declaration, isDeclaration := r.fact.(*facts.Declaration)
		lease, isLease := r.fact.(*facts.Lease)
		switch {
		case isDeclaration && !i.isDeclarative:
			declarations = append(declarations, declaration)
		case match.Role == v1alpha1.RoleProof && (!isLease || i.now().Before(lease.HeldUntil())):
			proofs = append(proofs, m)
		default:
			supports = append(supports, m)
		}
	}
	for _, members := range [][]member{proofs, supports} {
		slices.SortFunc(members, func(a, b member) int {
			return cmp.Or(a.Compare(b.Match), strings.Compare(a.ref.Kind, b.ref.Kind),
				strings.Compare(a.ref.Namespace, b.ref.Namespace), strings.Compare(a.ref.Name, b.ref.Name))
		})
	}
	slices.SortFunc(declarations, func(a, b *facts.Declaration) int { return strings.Compare(a.String(), b.String()) })
	return proofs, supports, declarations
}

// location returns the namespace and the Helm release of a workload or a declaration; false for other objects and for a declaration with an
// unknown namespace.
func location(fact facts.Fact) (namespace, release string, ok bool) {
	switch fact := fact.(type) {
	case *facts.Workload:
		return fact.Namespace, helmRelease(fact), true
	case *facts.Declaration:
		return fact.TargetNamespace, fact.Release, fact.TargetNamespace != ""
	case *facts.Lease:
		return fact.Namespace, "", true
	}
	return "", "", false
}

// groupProofs groups proofs into installations: one for each namespace, or for each release in namespaces with several releases. Nodes and
// cluster-scoped objects form an installation only if there is no other proof.
func groupProofs(proofs []member) []*installationBuilder {
	var builders []*installationBuilder
	var clusterScoped []member
	hasReleases := namespacesWithReleases(proofs)
	for _, proof := range proofs {
		namespace, release, ok := location(proof.fact)
		if !ok {
			clusterScoped = append(clusterScoped, proof)
			continue
		}
		if !hasReleases[namespace] {
			release = ""
		}
		b := findBuilder(builders, namespace, release)
		if b == nil {
			b = &installationBuilder{namespace: namespace, release: release}
			builders = append(builders, b)
		}
		b.proofs = append(b.proofs, proof)
	}
	if len(builders) == 0 {
		return []*installationBuilder{{proofs: clusterScoped}}
	}
	for _, b := range builders {
		b.supports = append(b.supports, clusterScoped...)
	}
	return builders
}

// namespacesWithReleases returns the namespaces in which one signal matches workloads of the same kind in two releases.
func namespacesWithReleases(proofs []member) map[string]bool {
	type role struct{ namespace, kind, signal string }
	releases := map[role]string{}
	namespaces := map[string]bool{}
	for _, proof := range proofs {
		namespace, release, ok := location(proof.fact)
		if !ok || release == "" {
			continue
		}
		component := ""
		if w, ok := proof.fact.(*facts.Workload); ok {
			component, _ = w.Label("app.kubernetes.io/component")
		}
		key := role{namespace, proof.ref.Kind, proof.Key() + component}
		if former, ok := releases[key]; ok && former != release {
			namespaces[namespace] = true
		}
		releases[key] = release
	}
	return namespaces
}

// helmRelease returns the Helm release of a workload. The instance label alone is not enough: some operators use it to number the workloads
// of one installation, as Rook does with Ceph's monitors.
func helmRelease(w *facts.Workload) string {
	_, hasChart := w.Label(labelChart)
	if !hasChart && !w.HasLabel("app.kubernetes.io/managed-by", "Helm") {
		return ""
	}
	release, _ := w.Label(labelInstance)
	return release
}

func findBuilder(builders []*installationBuilder, namespace, release string) *installationBuilder {
	for _, b := range builders {
		if b.namespace == namespace && b.release == release {
			return b
		}
	}
	return nil
}

// attachSupports adds each support to its installation: by namespace and release, to the only installation, or to all for a cluster-scoped
// object. A support that may belong to any of several installations is dropped.
func attachSupports(builders []*installationBuilder, supports []member) []*installationBuilder {
	for _, support := range supports {
		namespace, release := support.ref.Namespace, ""
		switch fact := support.fact.(type) {
		case *facts.Workload:
			release = helmRelease(fact)
		case *facts.Named:
			namespace = fact.Service
		}
		var owner *installationBuilder
		isNamespaceShared := false
		for _, b := range builders {
			if b.namespace != namespace {
				continue
			}
			isNamespaceShared = true
			if b.release == release || b.release == "" {
				owner = b
			}
		}
		switch {
		case owner != nil:
			owner.supports = append(owner.supports, support)
		case isNamespaceShared:
			// The namespace has several releases, and the support belongs to none of them.
		case len(builders) == 1:
			builders[0].supports = append(builders[0].supports, support)
		case namespace == "":
			for _, b := range builders {
				b.supports = append(b.supports, support)
			}
		}
	}
	return builders
}

// findVersion returns the version of an installation, or another text that extract returns, and its source: that of the first source and
// proof with a result. If nodes differ it is the lowest version, because a range must include the version of every node.
func (i *Inventory) findVersion(
	sources []catalog.VersionSource, proofs []member, extract func(catalog.VersionSource, string) string,
) (text string, from v1alpha1.VersionOrigin) {
	for _, source := range sources {
		if source.Rule != nil {
			// If the rule fails, the next source is used.
			if outcome := i.outcomes[source.Rule.Key]; outcome != nil {
				if version := extract(source, outcome.Text); version != "" {
					return version, source.From
				}
			}
			continue
		}
		lowest := ""
		for _, proof := range proofs {
			for _, candidate := range versionTexts(source, proof) {
				version := extract(source, candidate)
				if _, isNode := proof.fact.(*facts.Node); isNode {
					lowest = lowerVersion(lowest, version)
				} else if version != "" {
					return version, source.From
				}
			}
		}
		if lowest != "" {
			return lowest, source.From
		}
	}
	return "", ""
}

// versionTexts returns the texts of a proof in which a source may find the version.
func versionTexts(source catalog.VersionSource, proof member) []string {
	switch fact := proof.fact.(type) {
	case *facts.Workload:
		return []string{workloadText(source, fact, proof.Tag)}
	case *facts.APIServer:
		return []string{apiServerText(source.From, fact)}
	case *facts.Node:
		return []string{nodeText(source, fact)}
	case *facts.Declaration:
		if source.From == v1alpha1.VersionFromImageTag {
			return []string{proof.Tag} // of an image in the values of a chart
		}
	case *facts.Named:
		if source.From == v1alpha1.VersionFromCRDAnnotation {
			return []string{fact.Annotations[source.Annotation]}
		}
	case *facts.ConfigMap:
		if source.From == v1alpha1.VersionFromConfigMap {
			var texts []string
			for _, key := range slices.Sorted(maps.Keys(fact.Data)) {
				texts = append(texts, fact.Data[key])
			}
			return texts
		}
	}
	return nil
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
			// "cilium-1.18.2" and "cilium-1.18.2-rc.1": the version follows the first dash after which there is one.
			for i := range text {
				if text[i] == '-' && i+1 < len(text) && catalog.CleanVersion(text[i+1:]) != "" {
					return text[i+1:]
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
		if start := strings.IndexAny(n.OSImage, "0123456789"); start >= 0 {
			return n.OSImage[start:]
		}
		return ""
	default:
		return ""
	}
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

// healthSummary combines the healths of an installation's parts.
type healthSummary struct {
	// worst is the worst health of a part.
	worst v1alpha1.Health
	// messages describe the parts with the worst health.
	messages []string
	// validUntil is when the first deadline passes; zero for never.
	validUntil time.Time
}

func (s *healthSummary) add(health v1alpha1.Health, message string) {
	switch {
	case severity(health) > severity(s.worst):
		s.worst, s.messages = health, []string{message}
	case health == s.worst && message != "":
		s.messages = append(s.messages, message)
	}
}

func (s *healthSummary) addDeadline(deadline time.Time) {
	if !deadline.IsZero() && (s.validUntil.IsZero() || deadline.Before(s.validUntil)) {
		s.validUntil = deadline
	}
}

// message joins the first messages.
func (s *healthSummary) message() string {
	messages := s.messages
	if len(messages) > 3 {
		messages = append(messages[:3], fmt.Sprintf("and %d more", len(messages)-3))
	}
	return strings.Join(messages, "; ")
}

// deriveHealth returns the worst health of the installation's workloads and of the component's health rules, the message, and when a
// deadline passes; zero for never. It sets the degradedWorkloads.
func (i *Inventory) deriveHealth(definition *catalog.Component, b *installationBuilder) (v1alpha1.Health, string, time.Time) {
	summary := healthSummary{worst: v1alpha1.HealthHealthy}
	isRunning, idleMessage := false, ""
	isObserved := hasObservedWorkload(b.proofs)
	for n, m := range append(slices.Clone(b.proofs), b.supports...) {
		isProof := n < len(b.proofs)
		w, ok := m.fact.(*facts.Workload)
		if !ok {
			isRunning = isRunning || isProof
			switch fact := m.fact.(type) {
			case *facts.Declaration:
				if !isObserved {
					summary.add(v1alpha1.HealthNotObserved, "")
				}
			case *facts.Lease:
				if isProof {
					summary.addDeadline(fact.HeldUntil())
				}
			}
			continue
		}
		assessment := w.AssessHealth(i.now(), m.wasComplete(w.Rollout.Generation))
		summary.addDeadline(assessment.ValidUntil)
		switch {
		case assessment.IsIdle:
			if isProof {
				idleMessage = w.String() + " has no pods: " + assessment.Message
			}
			continue
		case !isProof && w.Rollout.HasStatus && w.Rollout.Desired == 0:
			continue // an optional workload that is scaled to zero
		}
		isRunning = isRunning || isProof
		if assessment.Health == v1alpha1.HealthDegraded && w.Kind != string(v1alpha1.KindCronJob) { // it has no pods to diagnose
			b.degradedWorkloads = append(b.degradedWorkloads, w.Ref)
		}
		message := ""
		if assessment.Message != "" {
			message = w.String() + ": " + assessment.Message
		}
		summary.add(assessment.Health, message)
	}
	if !isRunning && idleMessage != "" {
		summary.add(v1alpha1.HealthDegraded, idleMessage)
	}
	for n := range definition.Health {
		summary.add(i.deriveRuleHealth(&definition.Health[n]))
	}
	return summary.worst, summary.message(), summary.validUntil
}

// hasObservedWorkload reports whether a workload has a status. A declaration beside it, as in a dump, says nothing about the health.
func hasObservedWorkload(members []member) bool {
	return slices.ContainsFunc(members, func(m member) bool {
		w, ok := m.fact.(*facts.Workload)
		return ok && w.Rollout.HasStatus
	})
}

// deriveRuleHealth returns the health according to a rule. It is Healthy if the resource is not served or has not synced yet.
func (i *Inventory) deriveRuleHealth(health *catalog.HealthRule) (v1alpha1.Health, string) {
	outcome := i.outcomes[health.Instance.Key]
	switch {
	case outcome == nil || outcome.State == facts.NotServed || outcome.State == facts.Pending:
		return v1alpha1.HealthHealthy, ""
	case outcome.State.IsUnreadable():
		return v1alpha1.HealthUnknown, "rule " + health.Name + " cannot be evaluated: " + outcome.Reason
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
	evidence := make([]v1alpha1.Evidence, 0, len(members))
	for _, m := range members {
		evidence = append(evidence, v1alpha1.Evidence{
			APIVersion: m.ref.APIVersion, Kind: m.ref.Kind, Namespace: m.ref.Namespace, Name: m.ref.Name, Signal: m.Signal,
		})
	}
	return evidence
}
