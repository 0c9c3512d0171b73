package fill

import (
	"flag"
	"fmt"
	"math"
)

const (
	// OwnComponents is how many components of its own each profile asks for, which no other profile does.
	OwnComponents = 5
	// Requirements is how many requirements a profile has.
	Requirements = 50
	// recognised is the share of the Deployments that custom definitions recognise: one in so many.
	recognised = 5
)

// Scale is how much of everything there is.
type Scale struct {
	Factor       float64 `json:"factor"`
	Nodes        int     `json:"nodes"`
	Deployments  int     `json:"deployments"`
	DaemonSets   int     `json:"daemonsets"`
	StatefulSets int     `json:"statefulsets"`
	Pods         int     `json:"pods"`
	CRDs         int     `json:"crds"`
	Profiles     int     `json:"profiles"`
	Components   int     `json:"components"`
	Applications int     `json:"applications"`
	Certificates int     `json:"certificates"`
	Events       int     `json:"events"`
	Further      int     `json:"further_workloads"`
	Namespaces   int     `json:"namespaces"`
	// Installs is how many real installs were applied among it; filling counts them.
	Installs int `json:"installs"`
}

// amount is one number of a scale: its flag, what it counts, what it is at factor 1, and the least of it.
type amount struct {
	flag, what  string
	of          *int
	full, least int
}

func (s *Scale) amounts() []amount {
	return []amount{
		{"nodes", "Ready nodes", &s.Nodes, 5000, 10},
		{"deployments", "Deployments, rolled out", &s.Deployments, 10000, 100},
		{"daemonsets", "DaemonSets", &s.DaemonSets, 200, 2},
		{"statefulsets", "StatefulSets", &s.StatefulSets, 800, 8},
		{"pods", "Running pods", &s.Pods, 20000, 20},
		{"crds", "CustomResourceDefinitions", &s.CRDs, 500, 5},
		// Few profiles would make each of them change more often than a whole cluster's do.
		{"profiles", fmt.Sprintf("profiles of %d requirements", Requirements), &s.Profiles, 20, 4},
		{"components", fmt.Sprintf("custom PlatformComponents, %d for each profile", OwnComponents), &s.Components, 100, 4 * OwnComponents},
		{"applications", "Argo CD Applications", &s.Applications, 5000, 10},
		{"certificates", "cert-manager Certificates", &s.Certificates, 10000, 20},
		{"events", "Events while nothing that counts changes", &s.Events, 3000, 100},
		{"further", "Deployments to add when memory for each is measured", &s.Further, 3000, 300},
		{"namespaces", "namespaces that it is spread over", &s.Namespaces, 200, 5},
	}
}

// Flags adds a flag for the factor, and one for each number.
func (s *Scale) Flags(f *flag.FlagSet) {
	f.Float64Var(&s.Factor, "scale", 1, "multiplies every number below that is not given")
	for _, a := range s.amounts() {
		f.IntVar(a.of, a.flag, 0, fmt.Sprintf("%s (default %d, times --scale)", a.what, a.full))
	}
}

// Settle works out the numbers that were not given, and says what does not fit.
func (s *Scale) Settle() error {
	if s.Factor <= 0 || s.Factor > 10 {
		return fmt.Errorf("--scale=%g: want a factor above 0 and up to 10", s.Factor)
	}
	for _, a := range s.amounts() {
		switch {
		case *a.of < 0:
			return fmt.Errorf("--%s=%d: want a number above 0", a.flag, *a.of)
		case *a.of == 0:
			*a.of = max(a.least, int(math.Round(s.Factor*float64(a.full))))
		}
	}
	if s.Components < OwnComponents*s.Profiles {
		return fmt.Errorf("%d profiles need %d components of their own: raise --components or lower --profiles",
			s.Profiles, OwnComponents*s.Profiles)
	}
	if s.PerComponent() == 0 {
		return fmt.Errorf("%d Deployments are too few for %d components: raise --deployments", s.Deployments, s.Components)
	}
	return nil
}

// PerComponent is how many Deployments each custom component consists of.
func (s *Scale) PerComponent() int { return s.Deployments / recognised / s.Components }
