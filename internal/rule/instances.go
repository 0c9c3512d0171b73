package rule

// FieldsByResource are the fields that rules read of the objects of each resource: no others need to be kept.
type FieldsByResource map[Resource]*Fields

// CollectFields returns what instances read. It compiles their rules.
func CollectFields(instances []Instance) FieldsByResource {
	reads := FieldsByResource{}
	add := func(resource Resource, fields *Fields) {
		if reads[resource] == nil {
			reads[resource] = &Fields{}
		}
		reads[resource].Add(fields)
	}
	for _, instance := range instances {
		for _, resource := range instance.Resources {
			add(resource, instance.ReadFields(""))
		}
		for _, related := range instance.Related {
			add(related.Resource, instance.ReadFields(related.Name))
		}
	}
	return reads
}
