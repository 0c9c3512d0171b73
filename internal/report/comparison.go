package report

import (
	"cmp"
	"io"
	"slices"
	"strings"
)

// Comparison is what changed from one Discovery to another one. Its JSON fields are stable.
type Comparison struct {
	Changes []Change `json:"changes"`
}

// Change is an installation that is in one Discovery only, or in another version.
type Change struct {
	// Change is "added", "removed" or "version".
	Change    string `json:"change"`
	Component string `json:"component"`
	Namespace string `json:"namespace"`
	// Before and After are the versions; empty if there is none, or if it is unknown.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// The kinds of a Change.
const (
	changeAdded   = "added"
	changeRemoved = "removed"
	changeVersion = "version"
)

// Compare returns what changed from before to d. Installations of a component correspond by their namespace.
func (d Discovery) Compare(before Discovery) Comparison {
	c := Comparison{Changes: []Change{}}
	old, current := before.versions(), d.versions()
	for place, versions := range old {
		if current[place] == nil {
			c.Changes = append(c.Changes, Change{changeRemoved, place.component, place.namespace, strings.Join(versions, ", "), ""})
		}
	}
	for place, versions := range current {
		former, existed := old[place]
		switch {
		case !existed:
			c.Changes = append(c.Changes, Change{changeAdded, place.component, place.namespace, "", strings.Join(versions, ", ")})
		case !slices.Equal(former, versions):
			c.Changes = append(c.Changes, Change{
				changeVersion, place.component, place.namespace, strings.Join(former, ", "), strings.Join(versions, ", "),
			})
		}
	}
	slices.SortFunc(c.Changes, func(a, b Change) int {
		return cmp.Or(strings.Compare(a.Change, b.Change), strings.Compare(a.Component, b.Component), strings.Compare(a.Namespace, b.Namespace))
	})
	return c
}

// place is where a component is installed.
type place struct{ component, namespace string }

// versions returns the sorted versions of the installations in each place.
func (d Discovery) versions() map[place][]string {
	versions := map[place][]string{}
	for _, component := range d.Components {
		for _, i := range component.Installations {
			at := place{component.Name, i.Namespace}
			versions[at] = append(versions[at], strings.TrimSpace(i.VersionOf+" "+i.Version))
			slices.Sort(versions[at])
		}
	}
	return versions
}

// WriteTable writes a Comparison as a table.
func (c Comparison) WriteTable(w io.Writer, options TableOptions) error {
	p := &lineWriter{w: w}
	if len(c.Changes) == 0 {
		p.line("Nothing changed.")
		return p.err
	}
	t := newTable(options, "CHANGE", "COMPONENT", "NAMESPACE", "BEFORE", "AFTER")
	count := map[string]int{}
	for _, change := range c.Changes {
		count[change.Change]++
		kind := map[string]colour{changeAdded: green, changeRemoved: red, changeVersion: yellow}[change.Change]
		t.addCells(cell{change.Change, kind}, cell{text: change.Component}, cell{text: orDash(change.Namespace)},
			cell{text: orDash(change.Before)}, cell{text: orDash(change.After)})
	}
	t.write(p)
	p.line("%d added, %d removed, %d in another version.", count[changeAdded], count[changeRemoved], count[changeVersion])
	return p.err
}
