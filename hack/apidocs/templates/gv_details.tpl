{{- define "gvDetails" }}
Group and version: `{{ .GroupVersionString }}`. All kinds are cluster-scoped. A field with no default and without "required"
may be left out.

| kind | short name | is for |
| --- | --- | --- |
| [PlatformProfile](#platformprofile) | `pprofile` | what a cluster must have, and what was found |
| [PlatformWaiver](#platformwaiver) | `pwaiver` | which requirement may fail, and until when |
| [PlatformComponent](#platformcomponent) | `pcomponent` | how a product is recognised, and how healthy it is |
{{- /* Types follow the one that names them first, so that the page reads from a kind down to its details. */}}
{{- $seen := dict }}
{{- range list "PlatformProfile" "PlatformWaiver" "PlatformComponent" }}{{ template "walk" (dict "type" ($.TypeForKind .) "seen" $seen) }}{{ end }}
{{- end -}}

{{- define "walk" }}
{{- $seen := .seen }}{{ $kind := toJson .type.Kind }}
{{- if or (eq $kind "\"POINTER\"") (eq $kind "\"SLICE\"") }}{{ template "walk" (dict "type" .type.UnderlyingType "seen" $seen) }}
{{- else if eq $kind "\"MAP\"" }}{{ template "walk" (dict "type" .type.ValueType "seen" $seen) }}
{{- else if and (markdownShouldRenderType .type) (not (hasPrefix "k8s.io/" .type.Package)) (not (hasKey $seen .type.Name)) }}
{{- $_ := set $seen .type.Name true }}{{ template "type" .type }}
{{- range .type.Members }}{{ template "walk" (dict "type" .Type "seen" $seen) }}{{ end }}
{{- end }}
{{- end -}}
