{{- define "gvList" -}}
# API reference

Generated from `api/v1alpha1` by `make generate`. `kubectl explain platformprofile.spec` shows the same on a cluster that has
the CRDs, and a wrong value is refused there with the words of the column "must be".
[Layers](layers.md), [add a component](add-a-component.md) and [waivers](waivers.md) show the kinds in use.
{{ range . }}{{ template "gvDetails" . }}{{ end }}
{{- end -}}
