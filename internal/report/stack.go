package report

import (
	"slices"
	"strings"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// stackLayer is a layer of the HTML page.
type stackLayer struct {
	name    string
	title   string   // as in docs/layers.md
	aliases []string // other names of the layer in profiles
}

// stackLayers are the layers in the order of docs/layers.md, from the bottom of the stack to its top.
var stackLayers = []stackLayer{
	{"provisioning", "Provisioning", []string{"infrastructure"}},
	{"core", "Cluster and nodes", []string{"cluster", "nodes", "foundations", "kubernetes"}},
	{"runtime", "Container runtime", []string{"container-runtime"}},
	{"network", "Network", []string{"networking"}},
	{"storage", "Storage and backup", []string{"backup"}},
	{"data", "Data", []string{"databases"}},
	{"delivery", "Delivery", []string{"gitops", "ci", "cd"}},
	{"registry", "Registry and image security", []string{"images"}},
	{"observability", "Observability", []string{"monitoring"}},
	{"security", "Security", nil},
	{"mesh", "Service mesh", []string{"service-mesh"}},
	{"serverless", "Serverless", nil},
	{"virtualization", "Virtualization", nil},
	{"workloads", "Machine learning and batch", []string{"machine-learning", "ml", "batch"}},
	{"developer-platform", "Developer platform", []string{"portal"}},
	{troubleshooting, "Troubleshooting", []string{"diagnosis"}},
}

const troubleshooting = "troubleshooting"

// stackIndex returns the position of a layer in the stack. Other layers are above the standard ones and below troubleshooting.
func stackIndex(layer string) int {
	index := slices.IndexFunc(stackLayers, func(l stackLayer) bool { return l.name == layer || slices.Contains(l.aliases, layer) })
	switch {
	case index < 0:
		return len(stackLayers) - 1
	case stackLayers[index].name == troubleshooting:
		return len(stackLayers)
	}
	return index
}

// layerTitle returns the title of a layer.
func layerTitle(layer string) string {
	for _, l := range stackLayers {
		if l.name == layer {
			return l.title
		}
	}
	if layer == "" {
		return "Other"
	}
	return strings.ToUpper(layer[:1]) + strings.ReplaceAll(layer[1:], "-", " ")
}

// stackLayerName returns the layer of a component in the stack, where virtualization has a layer.
func stackLayerName(c Component) string {
	if slices.Contains(c.Capabilities, "virtualization") {
		return "virtualization"
	}
	return c.Layer
}

// badge is a state on the page.
type badge struct {
	Class string // of CSS
	Mark  string // for readers who cannot distinguish the colours
	Text  string
}

func healthBadge(h v1alpha1.Health) badge {
	switch h {
	case v1alpha1.HealthHealthy:
		return badge{"good", "✓", string(h)}
	case v1alpha1.HealthProgressing:
		return badge{"busy", "↻", string(h)}
	case v1alpha1.HealthDegraded:
		return badge{"bad", "✕", string(h)}
	case v1alpha1.HealthNotObserved:
		return badge{"plain", "·", "Not observed"}
	default:
		return badge{"doubt", "?", orDash(string(h))}
	}
}

func verdictBadge(r *v1alpha1.RequirementStatus) badge {
	s := badge{"bad", "✕", string(r.Verdict)}
	switch {
	case r.Waived != nil:
		s = badge{"plain", "⊘", string(r.Verdict) + ", waived"}
	case r.Verdict == v1alpha1.VerdictAttested:
		s.Class, s.Mark = "good", "✎"
	case isGood(r.Verdict) && r.Health == v1alpha1.HealthProgressing:
		s.Class, s.Mark = "busy", "↻"
	case isGood(r.Verdict):
		s.Class, s.Mark = "good", "✓"
	case r.Verdict == v1alpha1.VerdictUnknown:
		s.Class, s.Mark = "doubt", "?"
	case r.Verdict == v1alpha1.VerdictMissing:
		s.Class, s.Mark = "gap", "+"
	}
	if levelOf(r) == levelNote {
		s.Class += " advice"
	}
	return s
}
