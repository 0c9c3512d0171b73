package conformance

import (
	"regexp"
	"strconv"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// fieldOf finds the layer and the requirement that a field belongs to.
var fieldOf = regexp.MustCompile(`^spec\.layers\[(\d+)\](?:\.requirements\[(\d+)\])?`)

// Misunderstand takes in what the stored spec holds and this version does not know. A requirement of which that is part is
// Unknown: what it asks for may be something else than what is left of it. All of a layer are, where it is said of the layer.
func (p *Profile) Misunderstand(errs field.ErrorList) {
	p.Errors = append(p.Errors, errs...)
	for _, err := range errs {
		at := fieldOf.FindStringSubmatch(err.Field)
		if at == nil {
			p.obscure = append(p.obscure, err.Error())
			continue
		}
		i, _ := strconv.Atoi(at[1])
		if i >= len(p.layers) {
			continue
		}
		requirements := p.layers[i].requirements
		if j, convErr := strconv.Atoi(at[2]); convErr == nil && j < len(requirements) {
			requirements = requirements[j : j+1]
		}
		for k := range requirements {
			if requirements[k].broken == "" {
				requirements[k].broken = err.Error()
			}
		}
	}
}

// Outdated has the status hold no more than what an API server keeps whose CRD is older, and say so in these words.
func (p *Profile) Outdated(words string, keep func(v1alpha1.PlatformProfileStatus) (v1alpha1.PlatformProfileStatus, error)) {
	p.outdated, p.keep = words, keep
}

// kept is what the API server keeps of a status. Where that cannot be told, the API server is left to say it.
func (p *Profile) kept(status v1alpha1.PlatformProfileStatus) v1alpha1.PlatformProfileStatus {
	if p.keep == nil {
		return status
	}
	kept, err := p.keep(status)
	if err != nil {
		return status
	}
	return kept
}
