{{- define "type" }}

{{ if .GVK }}## {{ .Name }}{{ else }}### {{ .Name }}{{ end }}

{{ .Doc | trim | replace "<" "&lt;" }}
{{- if and .References (not .GVK) }}

Used by {{ range $i, $type := .SortedReferences }}{{ if $i }}, {{ end }}{{ markdownRenderTypeLink $type }}{{ end }}.
{{- end }}
{{- if .EnumValues }}

| value | means |
| --- | --- |
{{- range .EnumValues }}
{{- $says := regexReplaceAll "^[A-Z][A-Za-z]+ (means that |is )?" (.Doc | trim | replace "\n" " ") "" | markdownRenderFieldDoc }}
| `{{ .Name }}` | {{ substr 0 1 $says | upper }}{{ substr 1 -1 $says }} |
{{- end }}
{{- else if .IsAlias }}

A {{ markdownRenderType .UnderlyingType }}: {{ template "rules" (dict "of" . "type" .UnderlyingType) }}.
{{- else if index .Markers "kubebuilder:validation:XValidation" }}

Rules over several fields:
{{- range index .Markers "kubebuilder:validation:XValidation" }}
- {{ .Message }}
{{- end }}
{{- end }}
{{- if .Members }}

| field | meaning | default | must be |
| --- | --- | --- | --- |
{{- if .GVK }}
| `apiVersion` _string_ | `{{ .GVK.Group }}/{{ .GVK.Version }}` | | |
| `kind` _string_ | `{{ .GVK.Kind }}` | | |
{{- end }}
{{- range .Members }}
| `{{ .Name }}` _{{ markdownRenderType .Type }}_ | {{ template "type_members" . }} | {{ with markdownRenderDefault .Default }}`{{ . }}`{{ end }} | {{ template "rules" (dict "of" . "type" .Type) }} |
{{- end }}
{{- end }}
{{- end -}}
