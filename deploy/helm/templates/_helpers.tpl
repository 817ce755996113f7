{{- define "viaduct.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "viaduct.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "viaduct.labels" -}}
{{ include "viaduct.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* The configuration, with where the homeserver reaches the hub filled in. */ -}}
{{- define "viaduct.config" -}}
{{- $url := printf "http://%s.%s.svc:29320" (include "viaduct.name" .) .Release.Namespace -}}
{{- $config := mergeOverwrite (dict "appservice" (dict "url" $url)) (deepCopy .Values.config) -}}
{{ toYaml $config }}
{{- end }}
