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

// htmlPage is the content of the page: a stack for each profile, or one for a discovery.
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
	Layers []htmlLayer // from top to bottom
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
	Gap   string // in place of tiles if the layer is empty
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
	Evidence []string
}

type htmlFact struct{ Name, Value string }

// WriteHTML writes profiles as a self-contained HTML page.
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

// WriteHTML writes a Discovery as a self-contained HTML page.
func (d Discovery) WriteHTML(w io.Writer, at time.Time) error {
	page := htmlPage{Title: "Platform components", Stacks: []htmlStack{d.newStack()}}
	return page.write(w, at)
}

func newProfileStack(profile *v1alpha1.PlatformProfile) htmlStack {
	status := &profile.Status
	s := htmlStack{
		Title: text.Printable(profile.Name), Lead: "The requirements of the profile and their verdicts.",
		Badge: badge{"doubt", "?", "Conformance unknown"},
	}
	if c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionConformant); c != nil {
		switch c.Status {
		case metav1.ConditionTrue:
			s.Badge = badge{"good", "✓", "Conformant"}
			if c.Reason == conformance.ReasonWaived {
				s.Badge.Text = "Conformant with waivers"
			}
		case metav1.ConditionFalse:
			s.Badge = badge{"bad", "✕", "Not conformant"}
		default:
		}
	}
	if status.Score != "" {
		s.Score = text.Printable(status.Score) + " required satisfied"
	}
	if text := specErrors(profile); text != "" {
		s.addNote("Errors in the profile", text)
	}
	s.addNote("Undeclared components", undeclaredComponents(profile)...)
	layers := slices.Clone(status.Layers)
	slices.SortStableFunc(layers, func(a, b v1alpha1.LayerStatus) int { return stackIndex(a.Name) - stackIndex(b.Name) })
	isRequired := map[int]bool{}
	for i := range layers {
		isRequired[stackIndex(layers[i].Name)] = true
		s.Layers = append(s.Layers, newLayer(&layers[i], describeRequests(&profile.Spec, layers[i].Name)))
	}
	s.Layers = append(s.Layers, newTroubleshootingLayer(status))
	slices.Reverse(s.Layers)
	var withoutRequirements []string
	for i, layer := range stackLayers {
		if !isRequired[i] && layer.name != troubleshooting {
			withoutRequirements = append(withoutRequirements, layer.title)
		}
	}
	if len(withoutRequirements) > 0 {
		s.addNote("Layers without requirements", strings.Join(withoutRequirements, ", "))
	}
	return s
}

func (s *htmlStack) addNote(title string, lines ...string) {
	if len(lines) > 0 {
		s.Notes = append(s.Notes, htmlNote{title, lines})
	}
}

// describeRequests returns short descriptions of the requirements of a layer by name.
func describeRequests(spec *v1alpha1.PlatformProfileSpec, layer string) map[string]string {
	requests := map[string]string{}
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
				requests[r.Name] = "any " + r.Capability
			case r.Rule != nil:
				requests[r.Name] = r.Rule.Message
			case r.Attestation != nil:
				requests[r.Name] = "by " + r.Attestation.By
			default:
				requests[r.Name] = strings.Join(choices, " or ")
			}
			if r.Presence == v1alpha1.PresenceAbsent {
				requests[r.Name] = "no " + strings.TrimPrefix(requests[r.Name], "any ")
			}
		}
	}
	return requests
}

func newLayer(l *v1alpha1.LayerStatus, requests map[string]string) htmlLayer {
	layer := htmlLayer{
		Title: text.Printable(layerTitle(l.Name)), Count: fmt.Sprintf("%d of %d satisfied", l.Satisfied, l.Total),
		Badge: verdictBadge(&v1alpha1.RequirementStatus{Verdict: l.Verdict}),
	}
	isWaived := func(r v1alpha1.RequirementStatus) bool {
		return r.Waived != nil && r.Severity != v1alpha1.SeverityRecommended
	}
	if isGood(l.Verdict) && slices.ContainsFunc(l.Requirements, isWaived) {
		layer.Badge.Class = "plain"
	}
	for i := range l.Requirements {
		layer.Tiles = append(layer.Tiles, newRequirementTile(&l.Requirements[i], requests[l.Requirements[i].Name]))
	}
	return layer
}

func newRequirementTile(r *v1alpha1.RequirementStatus, request string) htmlTile {
	t := htmlTile{
		Title: text.Printable(r.Name), Badge: verdictBadge(r),
		Sub: text.Printable(strings.TrimSpace(r.Component + " " + r.Version)), Where: text.Printable(r.Namespace),
	}
	if t.Sub == "" {
		t.Sub = text.Printable(request)
	} else {
		t.addFact("Required", request)
	}
	if r.Severity == v1alpha1.SeverityRecommended {
		t.Tags = append(t.Tags, "recommended")
	}
	if r.Health != "" && string(r.Health) != string(r.Verdict) {
		t.Tags = append(t.Tags, string(r.Health))
	}
	t.addFact("Message", r.Message)
	if r.Waived != nil {
		if r.Waived.Until != nil {
			t.Tags = append(t.Tags, "until "+r.Waived.Until.UTC().Format(time.DateOnly))
		}
		t.addFact("Waiver", r.Waived.Waiver+": "+conformance.DescribeWaiver(r.Waived))
	}
	t.addFact("Remediation", r.Remediation)
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

func (t *htmlTile) addEvidence(evidence []v1alpha1.Evidence) {
	for _, e := range evidence {
		t.Evidence = append(t.Evidence, text.Printable(formatEvidence(e)))
	}
}

// newTroubleshootingLayer returns the top layer with the diagnoses of pods.
func newTroubleshootingLayer(status *v1alpha1.PlatformProfileStatus) htmlLayer {
	layer := htmlLayer{Title: layerTitle(troubleshooting), Badge: badge{"good", "✓", ""}, Count: "no failing pods"}
	for i := range status.Diagnoses {
		layer.Tiles = append(layer.Tiles, newDiagnosisTile(&status.Diagnoses[i], 1))
	}
	if n := len(status.Diagnoses); n > 0 {
		layer.Badge, layer.Count = badge{"bad", "✕", ""}, formatDiagnosisCount(n+int(status.DiagnosesOmitted))
	}
	return layer
}

func formatDiagnosisCount(n int) string {
	if n == 1 {
		return "1 diagnosis"
	}
	return fmt.Sprintf("%d diagnoses", n)
}

// newDiagnosisTile returns a tile for a diagnosis that podCount pods of the workload have in common.
func newDiagnosisTile(d *v1alpha1.Diagnosis, podCount int) htmlTile {
	t := htmlTile{
		Title: text.Printable(d.Symptom), Badge: badge{"bad", "✕", "Failing"},
		Sub: text.Printable(d.Workload.Kind + " " + d.Workload.Name), Where: text.Printable(d.Workload.Namespace),
	}
	t.addFact("Pod", strings.TrimPrefix(formatPod(*d, podCount), ", pod "))
	t.addFact("Meaning", d.Meaning)
	for _, cause := range d.LikelyCauses {
		t.Causes = append(t.Causes, text.Printable(cause))
	}
	for _, command := range d.Commands {
		t.Commands = append(t.Commands, text.Printable(command))
	}
	return t
}

// newStack sorts components into layers. A standard layer without components is a gap.
func (d Discovery) newStack() htmlStack {
	s := htmlStack{Title: "Platform", Lead: "The installed components by layer.", Badge: badge{"good", "✓", "Nothing is degraded"}}
	layers := map[int]*htmlLayer{} // by index in the stack
	layer := func(name string) *htmlLayer {
		index := stackIndex(name)
		if layers[index] == nil {
			layers[index] = &htmlLayer{Title: text.Printable(layerTitle(name))}
		}
		return layers[index]
	}
	for _, l := range stackLayers[:len(stackLayers)-1] {
		layer(l.name)
	}
	installations, degraded := 0, 0
	troubleshootingLayer := htmlLayer{Title: layerTitle(troubleshooting), Badge: badge{"good", "✓", ""}, Count: "nothing is degraded"}
	for _, c := range d.Components {
		l := layer(stackLayerName(c))
		for i := range c.Installations {
			t := newInstallationTile(c, &c.Installations[i])
			installations++
			if t.Badge.Class == "bad" {
				l.Badge = badge{"bad", "✕", ""}
				degraded++
				if len(c.Installations[i].Diagnoses) == 0 {
					troubleshootingLayer.Tiles = append(troubleshootingLayer.Tiles, t) // without a diagnosis
				}
			}
			if l.Badge.Class == "" {
				l.Badge = badge{Class: "good"}
			}
			l.Tiles = append(l.Tiles, t)
		}
	}
	for _, c := range d.Leftovers {
		t := htmlTile{Title: text.Printable(c.Name), Badge: badge{"gap hollow", "–", "Leftovers"}}
		t.addFact("Message", "The component is not installed, but some of its resources are left over.")
		t.addEvidence(c.Installations[0].Evidence)
		l := layer(stackLayerName(c))
		l.Tiles = append(l.Tiles, t)
	}
	s.Score = fmt.Sprintf("%d installations", installations)
	diagnoses := d.podDiagnoses()
	for i := range diagnoses {
		troubleshootingLayer.Tiles = append(troubleshootingLayer.Tiles, newDiagnosisTile(&diagnoses[i].Diagnosis, len(diagnoses[i].pods)))
	}
	if degraded > 0 {
		troubleshootingLayer.Count = fmt.Sprintf("%d degraded", degraded)
		s.Badge = badge{"bad", "✕", troubleshootingLayer.Count}
	}
	if n := len(diagnoses); n > 0 {
		troubleshootingLayer.Count = strings.TrimPrefix(troubleshootingLayer.Count+", "+formatDiagnosisCount(n), "nothing is degraded, ")
	}
	if len(troubleshootingLayer.Tiles) > 0 {
		troubleshootingLayer.Badge = badge{"bad", "✕", ""}
	}
	s.Layers = append(s.Layers, troubleshootingLayer)
	for index := len(stackLayers); index >= 0; index-- {
		l := layers[index]
		if l == nil {
			continue
		}
		l.Count = formatFoundCount(len(l.Tiles))
		if l.Badge.Class == "" {
			l.Badge, l.Count = badge{Class: "hollow"}, ""
		}
		if len(l.Tiles) == 0 {
			l.Gap = "Nothing found"
		}
		s.Layers = append(s.Layers, *l)
	}
	reasons := make([]string, 0, len(d.Unreadable))
	for _, reason := range d.Unreadable {
		reasons = append(reasons, text.Printable(reason))
	}
	s.addNote("Unreadable resources", reasons...)
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
	t := htmlTile{
		Title: text.Printable(c.Name), Badge: healthBadge(i.Health),
		Sub: text.Printable(i.versionText()), Where: text.Printable(i.Namespace),
	}
	if i.PartOf != "" {
		t.Tags = append(t.Tags, text.Printable("part of "+i.PartOf))
	}
	t.addFact("Message", i.Message)
	if len(i.Diagnoses) > 0 {
		t.addFact("Failing pods", conformance.SymptomText(&i.Diagnoses[0])+": "+i.Diagnoses[0].Meaning)
	}
	t.addFact("Released", string(i.Released))
	t.addFact("End of life", string(i.EndOfLife))
	t.addFact("Managed by", i.ManagedBy)
	t.addFact("Capabilities", strings.Join(c.Capabilities, ", "))
	t.addEvidence(i.Evidence)
	return t
}
