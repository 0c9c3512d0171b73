package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/text"
)

// htmlPage is what the page shows: a stack for each profile, or one for what was discovered.
type htmlPage struct {
	Title  string
	Stacks []htmlStack
}

type htmlStack struct {
	Title  string
	Lead   string
	Badge  badge
	Score  string
	Notes  []htmlNote
	Layers []htmlLayer // from the top of the stack to its bottom
}

type htmlNote struct {
	Title string
	Lines []string
}

type htmlLayer struct {
	Title string
	Count string
	Badge badge
	Tiles []htmlTile
	Gap   string // what is missing as a whole; empty where something is there
}

type htmlTile struct {
	Title    string
	Badge    badge
	Sub      string // component and version
	Where    string
	Tags     []string
	Facts    []htmlFact
	Causes   []string
	Commands []string
	Evidence []string // evidence
}

type htmlFact struct{ Name, Value string }

// WriteHTML writes profiles as one page that needs nothing beside itself.
func WriteHTML(w io.Writer, profiles []*v1alpha1.PlatformProfile, at time.Time) error {
	page := htmlPage{Title: "Platform profiles"}
	for _, profile := range profiles {
		page.Stacks = append(page.Stacks, newProfileStack(profile))
	}
	if len(profiles) == 1 {
		page.Title = "Platform profile " + text.Printable(profiles[0].Name)
	}
	return page.write(w, at)
}

// WriteHTML writes what was discovered as one page that needs nothing beside itself.
func (d Discovery) WriteHTML(w io.Writer, at time.Time) error {
	page := htmlPage{Title: "What this platform is made of", Stacks: []htmlStack{d.newStack()}}
	return page.write(w, at)
}

func newProfileStack(profile *v1alpha1.PlatformProfile) htmlStack {
	status := &profile.Status
	s := htmlStack{Title: text.Printable(profile.Name), Lead: "What the cluster must have, and what of it is there.", Badge: badge{"doubt", "?", "Cannot tell whether it is conformant"}}
	if c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionConformant); c != nil {
		switch c.Status {
		case metav1.ConditionTrue:
			s.Badge = badge{"good", "✓", "Conformant"}
		case metav1.ConditionFalse:
			s.Badge = badge{"bad", "✕", "Not conformant"}
		}
	}
	if status.Score != "" {
		s.Score = text.Printable(status.Score) + " of what is required"
	}
	if text := specErrors(profile); text != "" {
		s.addNote("Mistakes in the profile", text)
	}
	s.addNote("Installed and mentioned by no requirement", undeclaredComponents(profile)...)
	layers := slices.Clone(status.Layers)
	slices.SortStableFunc(layers, func(a, b v1alpha1.LayerStatus) int { return stackIndex(a.Name) - stackIndex(b.Name) })
	asked := map[int]bool{}
	for i := range layers {
		asked[stackIndex(layers[i].Name)] = true
		s.Layers = append(s.Layers, newLayer(&layers[i], describeRequests(&profile.Spec, layers[i].Name)))
	}
	s.Layers = append(s.Layers, newTroubleshootingLayer(status))
	slices.Reverse(s.Layers)
	var unasked []string
	for i, layer := range stackLayers {
		if !asked[i] && layer.name != troubleshooting {
			unasked = append(unasked, layer.title)
		}
	}
	if len(unasked) > 0 {
		s.addNote("Layers that the profile asks nothing of", strings.Join(unasked, ", "))
	}
	return s
}

func (s *htmlStack) addNote(title string, lines ...string) {
	if len(lines) > 0 {
		s.Notes = append(s.Notes, htmlNote{title, lines})
	}
}

// describeRequests says of each requirement of a layer in few words what it asks for.
func describeRequests(spec *v1alpha1.PlatformProfileSpec, layer string) map[string]string {
	asked := map[string]string{}
	for _, l := range spec.Layers {
		for _, r := range l.Requirements {
			if l.Name != layer {
				continue
			}
			var choices []string
			for _, c := range r.AnyOf {
				choices = append(choices, strings.TrimSpace(c.Component+" "+c.Version))
			}
			switch {
			case r.Capability != "":
				asked[r.Name] = "any " + r.Capability
			case r.Rule != nil:
				asked[r.Name] = r.Rule.Message
			case r.Attestation != nil:
				asked[r.Name] = "by " + r.Attestation.By
			default:
				asked[r.Name] = strings.Join(choices, " or ")
			}
			if r.Presence == v1alpha1.PresenceAbsent {
				asked[r.Name] = "no " + strings.TrimPrefix(asked[r.Name], "any ")
			}
		}
	}
	return asked
}

func newLayer(l *v1alpha1.LayerStatus, asked map[string]string) htmlLayer {
	layer := htmlLayer{Title: text.Printable(layerTitle(l.Name)), Count: fmt.Sprintf("%d of %d hold", l.Satisfied, l.Total), Badge: verdictBadge(&v1alpha1.RequirementStatus{Verdict: l.Verdict})}
	for i := range l.Requirements {
		layer.Tiles = append(layer.Tiles, newRequirementTile(&l.Requirements[i], asked[l.Requirements[i].Name]))
	}
	return layer
}

func newRequirementTile(r *v1alpha1.RequirementStatus, asked string) htmlTile {
	t := htmlTile{Title: text.Printable(r.Name), Badge: verdictBadge(r), Sub: text.Printable(strings.TrimSpace(r.Component + " " + r.Version)), Where: text.Printable(r.Namespace)}
	if t.Sub == "" {
		t.Sub = text.Printable(asked)
	} else {
		t.addFact("Asked for", asked)
	}
	if r.Severity == v1alpha1.SeverityRecommended {
		t.Tags = append(t.Tags, "recommended")
	}
	if r.Health != "" && string(r.Health) != string(r.Verdict) {
		t.Tags = append(t.Tags, string(r.Health))
	}
	t.addFact("Why", r.Message)
	t.addFact("What to do", r.Remediation)
	if r.FailingSince != nil && r.LastTransitionTime != nil && !r.FailingSince.Equal(r.LastTransitionTime) {
		t.addFact("Failing since", formatMinute(r.FailingSince.Time))
	}
	t.addEvidence(r.Evidence)
	return t
}

func (t *htmlTile) addFact(name, value string) {
	if value != "" {
		t.Facts = append(t.Facts, htmlFact{name, text.Printable(value)})
	}
}

func (t *htmlTile) addEvidence(all []v1alpha1.Evidence) {
	for _, one := range all {
		t.Evidence = append(t.Evidence, text.Printable(formatEvidence(one)))
	}
}

// newTroubleshootingLayer is the top of the stack: what is wrong with pods.
func newTroubleshootingLayer(status *v1alpha1.PlatformProfileStatus) htmlLayer {
	layer := htmlLayer{Title: layerTitle(troubleshooting), Badge: badge{"good", "✓", ""}, Count: "nothing wrong with any pod of what is asked for"}
	for i := range status.Diagnoses {
		layer.Tiles = append(layer.Tiles, newDiagnosisTile(&status.Diagnoses[i], 1))
	}
	if n := len(status.Diagnoses); n > 0 {
		layer.Badge, layer.Count = badge{"bad", "✕", ""}, formatProblemCount(n+int(status.DiagnosesOmitted))
	}
	return layer
}

// formatProblemCount counts diagnoses.
func formatProblemCount(n int) string {
	if n == 1 {
		return "1 thing wrong with pods"
	}
	return fmt.Sprintf("%d things wrong with pods", n)
}

// newDiagnosisTile tells of a diagnosis that so many pods of the workload share.
func newDiagnosisTile(d *v1alpha1.Diagnosis, alike int) htmlTile {
	t := htmlTile{Title: text.Printable(d.Symptom), Badge: badge{"bad", "✕", "Pods fail"}, Sub: text.Printable(d.Workload.Kind + " " + d.Workload.Name), Where: text.Printable(d.Workload.Namespace)}
	t.addFact("Pod", strings.TrimPrefix(formatPod(*d, alike), ", pod "))
	t.addFact("Meaning", d.Meaning)
	for _, cause := range d.LikelyCauses {
		t.Causes = append(t.Causes, text.Printable(cause))
	}
	for _, command := range d.Commands {
		t.Commands = append(t.Commands, text.Printable(command))
	}
	return t
}

// newStack puts what was found into its layers. A standard layer of which nothing was found is a gap.
func (d Discovery) newStack() htmlStack {
	s := htmlStack{Title: "Platform", Lead: "The components that were recognised, each in its layer. Gaps are layers of which nothing was found.", Badge: badge{"good", "✓", "Nothing is degraded"}}
	byPlace := map[int]*htmlLayer{}
	layer := func(name string) *htmlLayer {
		at := stackIndex(name)
		if byPlace[at] == nil {
			byPlace[at] = &htmlLayer{Title: text.Printable(layerTitle(name))}
		}
		return byPlace[at]
	}
	for _, l := range stackLayers[:len(stackLayers)-1] {
		layer(l.name)
	}
	installations, degraded, trouble := 0, 0, htmlLayer{Title: layerTitle(troubleshooting), Badge: badge{"good", "✓", ""}, Count: "nothing is degraded"}
	for _, c := range d.Components {
		l := layer(stackLayerName(c))
		for i := range c.Installations {
			t := newInstallationTile(c, &c.Installations[i])
			installations++
			if t.Badge.Class == "bad" {
				l.Badge = badge{"bad", "✕", ""}
				degraded++
				if len(c.Installations[i].Diagnoses) == 0 {
					trouble.Tiles = append(trouble.Tiles, t) // what is known of it is all that there is to say
				}
			}
			if l.Badge.Class == "" {
				l.Badge = badge{Class: "good"}
			}
			l.Tiles = append(l.Tiles, t)
		}
	}
	for _, c := range d.Leftovers {
		t := htmlTile{Title: text.Printable(c.Name), Badge: badge{"gap hollow", "–", "Only traces"}}
		t.addFact("Why", "What an uninstall leaves behind is there, and nothing of it runs.")
		t.addEvidence(c.Installations[0].Evidence)
		l := layer(stackLayerName(c))
		l.Tiles = append(l.Tiles, t)
	}
	s.Score = fmt.Sprintf("%d installations", installations)
	ailments := d.podDiagnoses()
	for i := range ailments {
		trouble.Tiles = append(trouble.Tiles, newDiagnosisTile(&ailments[i].Diagnosis, ailments[i].pods))
	}
	if degraded > 0 {
		trouble.Count = fmt.Sprintf("%d degraded", degraded)
		s.Badge = badge{"bad", "✕", trouble.Count}
	}
	if n := len(ailments); n > 0 {
		trouble.Count = strings.TrimPrefix(trouble.Count+", "+formatProblemCount(n), "nothing is degraded, ")
	}
	if len(trouble.Tiles) > 0 {
		trouble.Badge = badge{"bad", "✕", ""}
	}
	s.Layers = append(s.Layers, trouble)
	for at := len(stackLayers); at >= 0; at-- {
		l := byPlace[at]
		if l == nil {
			continue
		}
		l.Count = formatFoundCount(len(l.Tiles))
		if l.Badge.Class == "" {
			l.Badge, l.Count = badge{Class: "hollow"}, ""
		}
		if len(l.Tiles) == 0 {
			l.Gap = "Nothing of it was found"
		}
		s.Layers = append(s.Layers, *l)
	}
	var unseen []string
	for _, reason := range d.Unreadable {
		unseen = append(unseen, text.Printable(reason))
	}
	s.addNote("What could not be looked at", unseen...)
	return s
}

func formatFoundCount(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 found"
	}
	return fmt.Sprintf("%d found", n)
}

func newInstallationTile(c Component, i *Installation) htmlTile {
	t := htmlTile{Title: text.Printable(c.Name), Badge: healthBadge(i.Health), Sub: text.Printable(strings.TrimSpace(i.Version + " " + i.Variant)), Where: text.Printable(i.Namespace)}
	if i.PartOf != "" {
		t.Tags = append(t.Tags, text.Printable("part of "+i.PartOf))
	}
	t.addFact("Why", i.Message)
	if len(i.Diagnoses) > 0 {
		t.addFact("Wrong with its pods", conformance.SymptomText(&i.Diagnoses[0])+": "+i.Diagnoses[0].Meaning)
	}
	t.addFact("Capabilities", strings.Join(c.Capabilities, ", "))
	t.addEvidence(i.Evidence)
	return t
}
