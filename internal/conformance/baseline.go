package conformance

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// BaselineWaivers returns a waiver for each requirement that is not satisfied in a saved result of a profile, and not waived there. It
// covers the verdict of the saved result on the same component, even Unknown, and does not end. source names the saved result.
func BaselineWaivers(saved *v1alpha1.PlatformProfile, source string) []*v1alpha1.PlatformWaiver {
	var waivers []*v1alpha1.PlatformWaiver
	for _, layer := range saved.Status.Layers {
		for i := range layer.Requirements {
			r := &layer.Requirements[i]
			if isGood(r.Verdict) || r.Waived != nil && r.Waived.Until != nil { // what another baseline waived has no end
				continue
			}
			reason := "the baseline has it"
			if r.FailingSince != nil {
				reason += " since " + r.FailingSince.UTC().Format(time.DateOnly)
			}
			waivers = append(waivers, &v1alpha1.PlatformWaiver{
				ObjectMeta: metav1.ObjectMeta{Name: "--baseline"},
				Spec: v1alpha1.PlatformWaiverSpec{
					Profile: saved.Name, Requirement: layer.Name + "/" + r.Name, Verdicts: []v1alpha1.Verdict{r.Verdict},
					Component: r.Component, Reason: reason, By: source,
				},
			})
		}
	}
	return waivers
}

// undeclaredKey identifies an undeclared installation of a saved result. An upgrade makes it no other one.
type undeclaredKey struct{ component, namespace string }

// WithBaseline returns a profile that ignores the undeclared components of a saved result.
func (p *Profile) WithBaseline(saved *v1alpha1.PlatformProfile) *Profile {
	extended := *p
	extended.baseline = map[undeclaredKey]bool{}
	for _, undeclared := range saved.Status.Undeclared {
		extended.baseline[undeclaredKey{undeclared.Component, undeclared.Namespace}] = true
	}
	return &extended
}
