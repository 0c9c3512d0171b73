package conformance

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// kubernetesComponent is the component whose version is that of the cluster.
const kubernetesComponent = "kubernetes"

// validateCommonCheck returns the error in the parameters of a common check; nil if there is none.
func validateCommonCheck(path *field.Path, named *catalog.NamedCheck, params rule.Params) *field.Error {
	version, _ := params[catalog.ParameterVersion].(string)
	if _, ok := catalog.ParseVersion(version); named.Name == catalog.CheckKubernetesCompatible && version != "" && !ok {
		return field.Invalid(path.Key(catalog.ParameterVersion), version, "not a version of Kubernetes, for example 1.38")
	}
	return nil
}

// evaluateCommonCheck returns the outcome of a check on the facts about releases.
func (ev *evaluator) evaluateCommonCheck(c check, component *catalog.Component, installation *inventory.Installation) requirementOutcome {
	if c.Name == catalog.CheckSupported {
		within, _ := c.params[catalog.ParameterWithin].(time.Duration)
		return ev.evaluateSupported(component, installation, within)
	}
	version, _ := c.params[catalog.ParameterVersion].(string)
	return ev.evaluateCompatible(component, installation, version)
}

// describeVersion returns the name of the component and its version, as far as it is known.
func describeVersion(component *catalog.Component, installation *inventory.Installation) string {
	return strings.TrimSpace(component.Name + " " + installation.Version)
}

// factsAdvice is the remediation where the catalog lacks facts.
func factsAdvice(component *catalog.Component) string {
	return "Use a newer version of PlatformProfile, or apply a PlatformComponent " + component.Name + " with the facts in spec.releases."
}

func (ev *evaluator) evaluateSupported(
	component *catalog.Component, installation *inventory.Installation, within time.Duration,
) requirementOutcome {
	support := component.Releases.SupportAt(installation.Version, ev.now)
	subject := describeVersion(component, installation)
	if !support.IsKnown {
		return requirementOutcome{
			verdict: v1alpha1.VerdictUnknown, message: "cannot determine whether " + subject + " is supported: " + support.Reason,
			remediation: factsAdvice(component),
		}
	}
	o := requirementOutcome{verdict: v1alpha1.VerdictSatisfied, message: subject + " is supported"}
	release := support.Release
	if release.EndsAt.IsZero() {
		return o
	}
	upgrade := fmt.Sprintf("Upgrade %s to a supported release: %s", component.DisplayName, release.Source)
	switch warnAt := release.EndsAt.Add(-within); {
	case !support.IsSupported:
		o.verdict, o.message, o.remediation = v1alpha1.VerdictCheckFailed, subject+" is out of support since "+release.LastDay(), upgrade
	case !ev.now.Before(warnAt):
		o.verdict, o.message, o.remediation = v1alpha1.VerdictCheckFailed, subject+" is supported until "+release.LastDay()+" only", upgrade
		ev.expireAt(release.EndsAt)
	default:
		o.message += " until " + release.LastDay()
		ev.expireAt(warnAt)
	}
	return o
}

// evaluateCompatible returns whether an installation supports a version of Kubernetes; that of the cluster if version is empty.
func (ev *evaluator) evaluateCompatible(
	component *catalog.Component, installation *inventory.Installation, version string,
) requirementOutcome {
	subject := describeVersion(component, installation)
	kubernetes, ok := KubernetesVersion(ev.snapshot, version)
	if !ok {
		return requirementOutcome{
			verdict:     v1alpha1.VerdictUnknown,
			message:     "cannot determine whether " + subject + " supports the cluster: its version of Kubernetes is unknown",
			remediation: "Set the parameter version of the check.",
		}
	}
	c := component.Releases.CompatibilityWith(installation.Version, kubernetes)
	switch {
	case !c.IsKnown:
		return requirementOutcome{
			verdict: v1alpha1.VerdictUnknown, remediation: factsAdvice(component),
			message: fmt.Sprintf("cannot determine whether %s supports Kubernetes %s: %s", subject, kubernetes, c.Reason),
		}
	case c.IsCompatible:
		return requirementOutcome{verdict: v1alpha1.VerdictSatisfied, message: fmt.Sprintf("%s supports Kubernetes %s", subject, kubernetes)}
	}
	o := requirementOutcome{
		verdict: v1alpha1.VerdictCheckFailed,
		message: fmt.Sprintf("%s does not support Kubernetes %s: upstream states %s", subject, kubernetes, c.Release.KubernetesText),
		remediation: fmt.Sprintf("Upgrade %s to a release that supports Kubernetes %s: %s", component.DisplayName, kubernetes,
			c.Release.Source),
	}
	if cycles := component.Releases.CyclesFor(kubernetes); len(cycles) > 0 {
		o.message += "; these releases support it: " + strings.Join(cycles, ", ")
	}
	return o
}

// KubernetesVersion returns a version of Kubernetes, or that of the cluster if the text is empty; false if it is unknown.
func KubernetesVersion(s *inventory.Snapshot, version string) (catalog.KubernetesRelease, bool) {
	kubernetes := s.Component(kubernetesComponent)
	if kubernetes == nil {
		return catalog.KubernetesRelease{}, false
	}
	if version == "" && len(kubernetes.Installations) > 0 {
		version = kubernetes.Installations[0].Version
	}
	parsed, ok := catalog.ParseVersion(version)
	if !ok {
		return catalog.KubernetesRelease{}, false
	}
	return catalog.NewKubernetesRelease(parsed, kubernetes.Definition.Releases), true
}

// expireAt notes that the outcome changes at a time.
func (ev *evaluator) expireAt(at time.Time) {
	if ev.validUntil.IsZero() || at.Before(ev.validUntil) {
		ev.validUntil = at
	}
}
