{{/* The labels that config/default gives to every object. Helm adds its own, app.kubernetes.io/managed-by. */}}
{{- define "platformprofile.labels" -}}
app.kubernetes.io/name: platformprofile
{{- end }}

{{/* The labels that select the operator's pods. */}}
{{- define "platformprofile.selector" -}}
app.kubernetes.io/component: manager
app.kubernetes.io/name: platformprofile
{{- end }}

{{- define "platformprofile.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}
