package report

import (
	"fmt"
	"io"
	"time"

	"github.com/platformprofile/platformprofile/internal/text"
	"github.com/platformprofile/platformprofile/internal/upgrade"
)

// WritePlan writes what blocks an upgrade as a table, and the steps as text.
func WritePlan(w io.Writer, plan *upgrade.Plan, options TableOptions) error {
	p := &lineWriter{w: w}
	p.line("%s", describePlan(plan))
	if len(plan.Findings) > 0 {
		p.line("")
		columns := []string{"SEVERITY", "WHAT", "SUBJECT", "MESSAGE"}
		if options.Wide {
			columns = append(columns, "REMEDIATION", "SOURCE")
		}
		t := newTable(options, columns...)
		for _, f := range plan.Findings {
			cells := []cell{{string(f.Severity), severityColour(f.Severity)}, {text: string(f.Category)}, {text: f.Subject}, {text: f.Message}}
			if options.Wide {
				cells = append(cells, cell{text: orDash(f.Remediation)}, cell{text: orDash(f.Source)})
			}
			t.addCells(cells...)
		}
		t.write(p)
	}
	if len(plan.Steps) > 0 {
		p.line("")
		p.line("Steps:")
	}
	for n, step := range plan.Steps {
		p.line("%3d. %-6s %s", n+1, step.When, step.Do)
	}
	return p.err
}

// describePlan returns what was determined, and how far the facts go.
func describePlan(plan *upgrade.Plan) string {
	count := map[upgrade.Severity]int{}
	for _, f := range plan.Findings {
		count[f.Severity]++
	}
	from := "Kubernetes"
	if plan.Current != "" {
		from += " " + plan.Current
	}
	text := fmt.Sprintf("%s to %s: %d blocking, %d unknown, %d warnings.", from, plan.Target,
		count[upgrade.Blocking], count[upgrade.Unknown], count[upgrade.Warning])
	if plan.FactsUpTo != "" {
		text += " The facts go up to Kubernetes " + plan.FactsUpTo
		if plan.FactsAsOf != "" {
			text += ", and the oldest used is of " + string(plan.FactsAsOf)
		}
		text += "."
	}
	return text
}

func severityColour(severity upgrade.Severity) colour {
	switch severity {
	case upgrade.Blocking:
		return red
	case upgrade.Unknown:
		return yellow
	default:
		return 0
	}
}

// WritePlanHTML writes what blocks an upgrade as a self-contained HTML page.
func WritePlanHTML(w io.Writer, plan *upgrade.Plan, at time.Time) error {
	stack := htmlStack{Title: "Upgrade to Kubernetes " + plan.Target, Lead: describePlan(plan), Badge: badge{"good", "✓", "Nothing blocks it"}}
	switch plan.Worst() {
	case upgrade.Blocking:
		stack.Badge = badge{"bad", "✕", "Blocked"}
	case upgrade.Unknown:
		stack.Badge = badge{"doubt", "?", "Unknown"}
	default:
	}
	for _, group := range []struct {
		severity upgrade.Severity
		title    string
		badge    badge
	}{
		{upgrade.Blocking, "Blocks the upgrade", badge{"bad", "✕", "Blocking"}},
		{upgrade.Unknown, "Is unknown", badge{"doubt", "?", "Unknown"}},
		{upgrade.Warning, "Is worth knowing", badge{"hollow", "", "Warning"}},
	} {
		layer := htmlLayer{Title: group.title, Badge: group.badge}
		for _, f := range plan.Findings {
			if f.Severity != group.severity {
				continue
			}
			tile := htmlTile{
				Title: text.Printable(f.Subject), Sub: text.Printable(f.Message), Tags: []string{string(f.Category)}, Badge: group.badge,
			}
			tile.addFact("Remediation", f.Remediation)
			tile.addFact("Source", f.Source)
			tile.addEvidence(f.Evidence)
			layer.Tiles = append(layer.Tiles, tile)
		}
		layer.Count = formatFoundCount(len(layer.Tiles))
		if len(layer.Tiles) == 0 {
			layer.Badge, layer.Gap = badge{Class: "hollow"}, "Nothing"
		}
		stack.Layers = append(stack.Layers, layer)
	}
	steps := make([]string, 0, len(plan.Steps))
	for n, step := range plan.Steps {
		steps = append(steps, fmt.Sprintf("%d. %s the control plane: %s", n+1, step.When, step.Do))
	}
	stack.addNote("Steps", steps...)
	return htmlPage{Title: stack.Title, Stacks: []htmlStack{stack}}.write(w, at)
}
