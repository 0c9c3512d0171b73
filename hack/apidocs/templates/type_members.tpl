{{- define "type_members" -}}
{{- if eq .Name "metadata" }}As every object has it.{{ else }}{{ .Doc | trim | replace "\n" " " | markdownRenderFieldDoc | replace "<" "&lt;" }}{{ end }}
{{- end -}}

{{- /* What validates a field, or a type that is a name for a simple one, in words. */ -}}
{{- define "rules" -}}
{{- $said := list }}
{{- range .of.Validation }}
{{- $name := regexReplaceAll "^(.*?): .*$" . "${1}" }}{{ $value := regexReplaceAll "^.*?: (.*)$" . "${1}" }}
{{- if eq $name "Required" }}{{ $said = prepend $said "required" }}
{{- else if eq $name "MinLength" }}{{ $said = append $said (ternary "not empty" (printf "at least %s characters" $value) (eq $value "1")) }}
{{- else if eq $name "MaxLength" }}{{ $said = append $said (printf "at most %s characters" $value) }}
{{- else if eq $name "MinItems" }}{{ $said = append $said (ternary "not empty" (printf "at least %s items" $value) (eq $value "1")) }}
{{- else if eq $name "MaxItems" }}{{ $said = append $said (printf "at most %s items" $value) }}
{{- else if eq $name "MinProperties" }}{{ $said = append $said (ternary "not empty" (printf "at least %s entries" $value) (eq $value "1")) }}
{{- else if eq $name "MaxProperties" }}{{ $said = append $said (printf "at most %s entries" $value) }}
{{- else if eq $name "items:MinLength" }}{{ $said = append $said (ternary "no item empty" (printf "items of at least %s characters" $value) (eq $value "1")) }}
{{- else if eq $name "items:MaxLength" }}{{ $said = append $said (printf "items of at most %s characters" $value) }}
{{- else if eq $name "Minimum" }}{{ $said = append $said (printf "at least %s" $value) }}
{{- else if eq $name "Maximum" }}{{ $said = append $said (printf "at most %s" $value) }}
{{- else if eq $name "Pattern" }}{{ $said = append $said (printf "matching %s" (markdownRenderFieldDoc $value)) }}
{{- else if or (eq $name "Optional") (eq $name "Enum") }}
{{- else }}{{ fail (printf "hack/apidocs has no words for the validation %q" .) }}
{{- end }}
{{- end }}
{{- range index .of.Markers "listMapKey" }}{{ $said = append $said (printf "each `%v` once" .) }}{{ end }}
{{- range index .of.Markers "listType" }}{{ if eq (printf "%v" .) "set" }}{{ $said = append $said "each item once" }}{{ end }}{{ end }}
{{- /* A field of a type of this page has its rules in that type's own section. */}}
{{- if or .type.IsBasic (hasPrefix "k8s.io/" .type.Package) }}
{{- range index .of.Markers "kubebuilder:validation:XValidation" }}{{ $said = append $said (markdownRenderFieldDoc .Message) }}{{ end }}
{{- end }}
{{- join "; " $said }}
{{- end -}}
