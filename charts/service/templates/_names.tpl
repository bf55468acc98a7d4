{{/* The program of the image, which is also what the service is called. */}}
{{- define "service.program" -}}
{{ .Values.program | default .Chart.Name }}
{{- end }}

{{- define "service.fullname" -}}
{{- $name := include "service.program" . -}}
{{- ternary $name (printf "%s-%s" .Release.Name $name) (eq .Release.Name $name) | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{/* A version as the end of a name; nothing for the worker that is no version. */}}
{{- define "service.versionSuffix" -}}
{{- if ne . "unversioned" }}{{ printf "-%s" (. | replace "." "-") }}{{ end -}}
{{- end }}

{{/* The worker that is no version is the same Deployment as while versions are off, so its track is the same. */}}
{{- define "service.versionTrack" -}}
{{ eq . "unversioned" | ternary "blue" . }}
{{- end }}

{{/* Who a version is, for Temporal; nothing for the worker that is none. Takes root and version. */}}
{{- define "service.versionVariables" -}}
{{- if and .version (ne .version "unversioned") -}}
- name: TEMPORAL_DEPLOYMENT
  value: {{ include "service.fullname" .root }}
- name: TEMPORAL_BUILD_ID
  value: {{ .version | quote }}
{{- end -}}
{{- end }}

{{/* What the pods that serve are found by. Never changes: a Deployment's selector cannot be changed. */}}
{{- define "service.selector" -}}
app.kubernetes.io/name: {{ include "service.program" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: service
{{- end }}

{{/* Labels of everything. Takes root and component. */}}
{{- define "service.labels" -}}
app.kubernetes.io/name: {{ include "service.program" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: ordermesh
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Labels of pods: none that changes with the chart alone. Takes root and component. */}}
{{- define "service.podLabels" -}}
app.kubernetes.io/name: {{ include "service.program" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: ordermesh
{{- with .root.Values.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* An image's full name. Takes root and image; what is empty comes from the service's image, then from the common one. */}}
{{- define "service.image" -}}
{{- $common := .root.Values.global.image -}}
{{- $own := .root.Values.image -}}
{{- $repository := .image.repository | default $own.repository | default $common.repository -}}
{{- $digest := .image.digest -}}
{{- $tag := .image.tag -}}
{{- if not (or $digest $tag) }}{{ $digest = $own.digest }}{{ $tag = $own.tag }}{{ end -}}
{{- if not (or $digest $tag) }}{{ $digest = $common.digest }}{{ $tag = $common.tag }}{{ end -}}
{{- if $digest -}}
{{ $repository }}@{{ $digest }}
{{- else -}}
{{ $repository }}:{{ $tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "service.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "service.secretName" -}}
{{ .Values.secret.name | default (include "service.fullname" .) }}
{{- end }}
