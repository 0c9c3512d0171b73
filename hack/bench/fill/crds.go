package fill

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// CRDName is the name of a CRD.
func CRDName(i int) string { return fmt.Sprintf("resource%03ds.group%02d.bench.example.com", i, i%50) }

func (f *filler) crds(ctx context.Context) error {
	return Each(ctx, f.scale.CRDs, func(ctx context.Context, i int) error {
		return made("a CRD", f.Objects.Create(ctx, crd(i)))
	})
}

// crd is one with a schema of the usual size, 10 to 30 KB. Most of it is description, as it is with generated schemas.
func crd(i int) *unstructured.Unstructured {
	plural, group, _ := strings.Cut(CRDName(i), ".")
	singular := strings.TrimSuffix(plural, "s")
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{
			"name": plural + "." + group, "annotations": map[string]any{"controller-gen.kubebuilder.io/version": "v0.18.0"},
			"labels": map[string]any{"app.kubernetes.io/part-of": group},
		},
		"spec": map[string]any{
			"group": group,
			"scope": "Namespaced",
			"names": map[string]any{
				"kind":     strings.ToUpper(singular[:1]) + singular[1:],
				"listKind": strings.ToUpper(singular[:1]) + singular[1:] + "List",
				"plural":   plural,
				"singular": singular,
			},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true, "subresources": map[string]any{"status": map[string]any{}},
				"additionalPrinterColumns": []any{map[string]any{"name": "Ready", "type": "string", "jsonPath": ".status.phase"}},
				"schema": map[string]any{"openAPIV3Schema": map[string]any{
					"type": "object", "description": described("the resource"),
					"properties": map[string]any{
						"apiVersion": map[string]any{"type": "string", "description": described("apiVersion")},
						"kind":       map[string]any{"type": "string", "description": described("kind")},
						"metadata":   map[string]any{"type": "object"},
						"spec":       section(2 + i%8),
						"status":     section(3),
					},
				}},
			}},
		},
	}}
}

// section is an object with so many parts, about 1.5 KB each.
func section(parts int) map[string]any {
	properties := map[string]any{}
	for n := range parts {
		properties[fmt.Sprintf("part%02d", n)] = map[string]any{
			"type": "object", "description": described(fmt.Sprintf("part %d", n)), "required": []any{"name"},
			"properties": map[string]any{
				"name":     map[string]any{"type": "string", "minLength": int64(1), "maxLength": int64(253), "description": described("name")},
				"replicas": map[string]any{"type": "integer", "format": "int32", "minimum": int64(0), "description": described("replicas")},
				"labels": map[string]any{
					"type":                 "object",
					"additionalProperties": map[string]any{"type": "string"},
					"description":          described("labels"),
				},
				"policy": map[string]any{"type": "string", "enum": []any{"Always", "Never", "IfNeeded"}, "description": described("policy")},
				"items": map[string]any{"type": "array", "description": described("items"), "items": map[string]any{
					"type": "object", "properties": map[string]any{
						"key": map[string]any{"type": "string"}, "value": map[string]any{"type": "string"}, "optional": map[string]any{"type": "boolean"},
					},
				}},
			},
		}
	}
	return map[string]any{"type": "object", "description": described("the section"), "properties": properties}
}

func described(what string) string {
	return "Says " + what + " of this resource as it is wanted. " +
		"Where it is left out, the controller takes what it finds in its own settings, " +
		"and writes what it took into the status, so that it can be seen there. More: https://bench.example.com/docs/reference/api"
}
