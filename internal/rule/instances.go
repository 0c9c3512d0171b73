package rule

// Reads are the fields that rules read of the objects of each resource: no others need to be kept.
type Reads map[Resource]*Fields

// ReadsOf returns what instances read. It compiles their rules.
func ReadsOf(instances []Instance) Reads {
	reads := Reads{}
	add := func(resource Resource, fields *Fields) {
		if reads[resource] == nil {
			reads[resource] = &Fields{}
		}
		reads[resource].Add(fields)
	}
	for _, instance := range instances {
		for _, resource := range instance.Resources {
			add(resource, instance.Reads(""))
		}
		for _, related := range instance.Related {
			add(related.Resource, instance.Reads(related.Name))
		}
	}
	return reads
}
