package catalog

import (
	"maps"
	"slices"
	"strings"

	"github.com/platformprofile/platformprofile/internal/rule"
)

// Reads says of resources which fields of their objects rules read: no others need to be kept.
type Reads map[Resource]*rule.Fields

// add takes in further fields of a resource. What was there is not changed: others may use it.
func (r Reads) add(resource Resource, fields *rule.Fields) {
	if known := r[resource]; known != nil && known.Cover(fields) {
		return
	}
	merged := &rule.Fields{}
	merged.Add(r[resource])
	merged.Add(fields)
	r[resource] = merged
}

// Add takes in what another set reads.
func (r Reads) Add(other Reads) {
	for resource, fields := range other {
		r.add(resource, fields)
	}
}

// AddRule takes in what a rule reads, and what it reads to explain itself.
func (r Reads) AddRule(judged *Rule) {
	r.addProgram(judged.Resource, judged.Related, judged.Program)
	r.addProgram(judged.Resource, judged.Related, judged.Explain)
}

func (r Reads) addProgram(resource Resource, related []Related, program *rule.Program) {
	if program == nil {
		return
	}
	r.add(resource, program.Reads(""))
	for _, one := range related {
		r.add(one.Resource, program.Reads(one.Name))
	}
}

// AddCheck takes in what an expression of a profile reads.
func (r Reads) AddCheck(resource Resource, program *rule.Program) {
	r.addProgram(resource, nil, program)
}

// Resources are the resources, sorted.
func (r Reads) Resources() []Resource {
	return slices.SortedFunc(maps.Keys(r), func(a, b Resource) int {
		return strings.Compare(a.String()+"/"+a.Version, b.String()+"/"+b.Version)
	})
}

// HealthReads is what the component's health and version are read from.
func (c *Component) HealthReads() Reads {
	reads := Reads{}
	for i := range c.Health {
		reads.AddRule(&c.Health[i])
	}
	for _, source := range slices.Concat(c.Versions, c.Variants) {
		if source.Program != nil {
			reads.addProgram(source.Resource, nil, source.Program)
		}
	}
	return reads
}

// CheckReads is what the component's named checks read.
func (c *Component) CheckReads() Reads {
	reads := Reads{}
	for _, check := range c.Checks {
		reads.AddRule(&check.Rule)
	}
	return reads
}

// HealthReads is what definitions read health and versions from.
func (c *Catalog) HealthReads() Reads {
	reads := Reads{}
	reads.Add(c.healthReads)
	return reads
}

// Widen adds to what is read of each resource what named checks would read of it: a profile that begins to ask for one
// then finds it kept, and nothing needs to be read anew.
func (c *Catalog) Widen(reads Reads) {
	for resource := range reads {
		if fields := c.checkReads[resource]; fields != nil {
			reads.add(resource, fields)
		}
	}
}
