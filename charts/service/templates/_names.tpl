{{/* The program of the image. */}}
{{- define "ordermesh.service.program" -}}
{{ .Values.program | default .Chart.Name }}
{{- end }}

{{/* What the service is called: as the chart around it calls it; if there is none, or that has no name of its own for it, by its program. */}}
{{- define "ordermesh.service.called" -}}
{{- $charts := splitList "/charts/" .Template.BasePath -}}
{{- $called := last $charts | trimSuffix "/templates" -}}
{{- if or (eq (len $charts) 1) (eq $called "service") }}{{ $called = include "ordermesh.service.program" . }}{{ end -}}
{{ $called }}
{{- end }}

{{/*
A name that is valid everywhere: at most `max` small letters, digits and dashes, a letter first. One that is so already stays as it is; of
any other a hash at its end tells what was changed or cut off, so that two names stay two. Takes name and max.
*/}}
{{- define "ordermesh.service.fit" -}}
{{- $name := .name | lower | replace "." "-" | replace "_" "-" | trimAll "-" -}}
{{- if not (regexMatch "^[a-z]" $name) }}{{ $name = printf "r%s" $name }}{{ end -}}
{{- if or (ne $name .name) (gt (len $name) (int .max)) -}}
{{- $name = printf "%s-%s" ($name | trunc (sub .max 9 | int) | trimSuffix "-") (.name | sha256sum | trunc 8) -}}
{{- end -}}
{{ $name }}
{{- end }}

{{/*
What every name of this mesh begins with and its pods are told from others by: the release; in a larger chart also what the charts between
are called there, so that two meshes of a release stay apart. Of 40 characters at most, which leaves 23 for what follows.
*/}}
{{- define "ordermesh.service.instance" -}}
{{ include "ordermesh.service.fit" (dict "name" (prepend (include "ordermesh.service.above" . | fromJsonArray) .Release.Name | join "-") "max" 40) }}
{{- end }}

{{/* What the charts between the release's and this one are called, in JSON. */}}
{{- define "ordermesh.service.above" -}}
{{ splitList "/charts/" .Template.BasePath | rest | initial | toJson }}
{{- end }}

{{/* Where workers of this mesh look for work, unless it is said: apart from those of another one in the release. */}}
{{- define "ordermesh.service.taskQueue" -}}
{{ include "ordermesh.service.above" . | fromJsonArray | empty | ternary "ordermesh" (include "ordermesh.service.instance" .) }}
{{- end }}

{{/* What a service of this mesh is called: its own things, and what others call it by. Takes root and service. */}}
{{- define "ordermesh.service.nameOf" -}}
{{- $name := printf "%s-%s" (include "ordermesh.service.instance" .root) .service -}}
{{ include "ordermesh.service.fit" (dict "name" $name "max" 50) }}
{{- end }}

{{- define "ordermesh.service.fullname" -}}
{{ include "ordermesh.service.nameOf" (dict "root" . "service" (include "ordermesh.service.called" .)) }}
{{- end }}

{{/* The name of something that belongs to a service. Takes root, suffix and, unless it is the chart's own, service. */}}
{{- define "ordermesh.service.named" -}}
{{- $service := .service | default (include "ordermesh.service.called" .root) -}}
{{- $name := include "ordermesh.service.nameOf" (dict "root" .root "service" $service) -}}
{{ include "ordermesh.service.fit" (dict "name" (printf "%s-%s" $name .suffix) "max" 63) }}
{{- end }}

{{/* The Deployment of a version; the worker that is no version is the same as while versions are off. Takes root and version. */}}
{{- define "ordermesh.service.versionName" -}}
{{- if eq .version "unversioned" -}}
{{ include "ordermesh.service.fullname" .root }}
{{- else -}}
{{ include "ordermesh.service.named" (dict "root" .root "suffix" (.version | replace "." "-")) }}
{{- end -}}
{{- end }}

{{/* The worker that is no version is the same Deployment as while versions are off, so its track is the same. */}}
{{- define "ordermesh.service.versionTrack" -}}
{{ eq . "unversioned" | ternary "blue" . }}
{{- end }}

{{/* Who a version is, for Temporal; nothing for the worker that is none. Takes root and version. */}}
{{- define "ordermesh.service.versionVariables" -}}
{{- if and .version (ne .version "unversioned") -}}
- name: TEMPORAL_DEPLOYMENT
  value: {{ include "ordermesh.service.fullname" .root | quote }}
- name: TEMPORAL_BUILD_ID
  value: {{ .version | quote }}
{{- end -}}
{{- end }}

{{/* What pods of a service of this mesh are found by. Never changes: a Deployment's selector cannot be changed. Takes root, service and component. */}}
{{- define "ordermesh.service.selectorOf" -}}
app.kubernetes.io/name: {{ include "ordermesh.service.fit" (dict "name" .service "max" 63) | quote }}
app.kubernetes.io/instance: {{ include "ordermesh.service.instance" .root | quote }}
app.kubernetes.io/component: {{ .component | quote }}
{{- end }}

{{/* The same for pods of the chart's own service. Takes root and component. */}}
{{- define "ordermesh.service.podSelector" -}}
{{ include "ordermesh.service.selectorOf" (dict "root" .root "service" (include "ordermesh.service.called" .root) "component" .component) }}
{{- end }}

{{/* What the pods that serve are found by. */}}
{{- define "ordermesh.service.selector" -}}
{{ include "ordermesh.service.podSelector" (dict "root" . "component" "service") }}
{{- end }}

{{- define "ordermesh.service.secretName" -}}
{{ .Values.secret.name | default (include "ordermesh.service.fullname" .) }}
{{- end }}

{{/* Who the pods of an account are, as SPIFFE says it. Takes root and account. */}}
{{- define "ordermesh.service.spiffeId" -}}
spiffe://{{ .root.Values.global.tls.trustDomain }}/ns/{{ .root.Release.Namespace }}/sa/{{ .account }}
{{- end }}

{{/* The identity of the pods. */}}
{{- define "ordermesh.service.account" -}}
{{- with .Values.serviceAccount -}}
{{ .name | default (.create | ternary (include "ordermesh.service.fullname" $) "default") }}
{{- end -}}
{{- end }}
