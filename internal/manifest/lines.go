package manifest

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// LineNumbers returns the lines of PlatformProfiles and their requirements in a stream of YAML documents: those of the names of profiles by
// PROFILE, and those of requirements by PROFILE/LAYER/NAME. It ignores what it cannot parse.
func LineNumbers(data []byte) map[string]int {
	lines := map[string]int{}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var document yaml.Node
		if err := decoder.Decode(&document); err != nil {
			return lines
		}
		if len(document.Content) == 0 || scalarOf(document.Content[0], "kind") != "PlatformProfile" {
			continue
		}
		root := document.Content[0]
		profile := scalarOf(fieldOf(root, "metadata"), "name")
		lines[profile] = fieldOf(fieldOf(root, "metadata"), "name").Line
		for _, layer := range fieldOf(fieldOf(root, "spec"), "layers").Content {
			for _, requirement := range fieldOf(layer, "requirements").Content {
				name := fieldOf(requirement, "name")
				lines[profile+"/"+scalarOf(layer, "name")+"/"+name.Value] = name.Line
			}
		}
	}
}

// fieldOf returns a field of a mapping, or an empty node.
func fieldOf(node *yaml.Node, field string) *yaml.Node {
	if node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == field {
				return node.Content[i+1]
			}
		}
	}
	return &yaml.Node{}
}

func scalarOf(node *yaml.Node, field string) string { return fieldOf(node, field).Value }
