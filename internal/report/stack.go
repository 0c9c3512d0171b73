package report

import (
	"slices"
	"strings"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// stackLayer is one layer of a platform as people draw it.
type stackLayer struct {
	name    string
	title   string   // as docs/layers.md calls it
	aliases []string // what profiles call it too
}

// stackLayers are the layers in the order of docs/layers.md: what a platform stands on first.
var stackLayers = []stackLayer{
	{"provisioning", "Provisioning", []string{"infrastructure"}},
	{"core", "Cluster and nodes", []string{"cluster", "nodes", "foundations", "kubernetes"}},
	{"runtime", "Container runtime", []string{"container-runtime"}},
	{"network", "Network", []string{"networking"}},
	{"storage", "Storage and backup", []string{"backup"}},
	{"delivery", "Delivery", []string{"gitops", "ci", "cd"}},
	{"registry", "Registry and image security", []string{"images"}},
	{"observability", "Observability", []string{"monitoring"}},
	{"security", "Security", nil},
	{"mesh", "Service mesh", []string{"service-mesh"}},
	{"serverless", "Serverless", nil},
	{"virtualization", "Virtualization", nil},
	{"workloads", "Machine learning and batch", []string{"machine-learning", "ml", "batch"}},
	{troubleshooting, "Troubleshooting", []string{"diagnosis"}},
}

const troubleshooting = "troubleshooting"

// stackIndex is where in the stack a layer of this name belongs. What is none of the standard layers lies on top of them, and
// below troubleshooting.
func stackIndex(layer string) int {
	at := slices.IndexFunc(stackLayers, func(l stackLayer) bool { return l.name == layer || slices.Contains(l.aliases, layer) })
	switch {
	case at < 0:
		return len(stackLayers) - 1
	case stackLayers[at].name == troubleshooting:
		return len(stackLayers)
	}
	return at
}

// layerTitle is what people call a layer.
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

// stackLayerName is the layer of the stack that a component lies in: virtualization is one of its own there.
func stackLayerName(c Component) string {
	if slices.Contains(c.Capabilities, "virtualization") {
		return "virtualization"
	}
	return c.Layer
}

// badge is how something looks on the page.
type badge struct {
	Class string // of CSS
	Mark  string // so that colour is not all that tells
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
	}
	return badge{"doubt", "?", orDash(string(h))}
}

func verdictBadge(r *v1alpha1.RequirementStatus) badge {
	s := badge{"bad", "✕", string(r.Verdict)}
	switch {
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
