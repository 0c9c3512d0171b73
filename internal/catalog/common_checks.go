package catalog

import (
	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// The checks that every component offers. They are evaluated on the facts about releases instead of on objects.
const (
	CheckSupported            = "supported"
	CheckKubernetesCompatible = "kubernetes-compatible"

	// ParameterWithin is the time before the end of support in which CheckSupported already fails.
	ParameterWithin = "within"
	// ParameterVersion is the version of Kubernetes of CheckKubernetesCompatible; that of the cluster if it is empty.
	ParameterVersion = "version"
)

// CommonChecks are the checks that every component offers.
var CommonChecks = []*NamedCheck{
	{
		Name:        CheckSupported,
		Description: "Upstream supports the installed version, and does not end its support soon.",
		Parameters: []v1alpha1.CheckParameter{{
			Name: ParameterWithin, Type: v1alpha1.ParameterDuration, Default: parameterDefault("90d"),
			Description: "How long before the end of support the check fails.",
		}},
	},
	{
		Name:        CheckKubernetesCompatible,
		Description: "The installed version supports the version of Kubernetes.",
		Parameters: []v1alpha1.CheckParameter{{
			Name: ParameterVersion, Type: v1alpha1.ParameterString, Default: parameterDefault(""),
			Description: "Version of Kubernetes, for example 1.38; empty for that of the cluster.",
		}},
	},
}

func parameterDefault(value v1alpha1.ParameterValue) *v1alpha1.ParameterValue { return &value }

// Check returns a check of the component by name, its own or a common one; nil if there is none. A definition may replace a common check.
func (c *Component) Check(name string) *NamedCheck {
	if own := c.Checks[name]; own != nil {
		return own
	}
	for _, check := range CommonChecks {
		if check.Name == name {
			return check
		}
	}
	return nil
}
