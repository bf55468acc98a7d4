{{- define "ordermesh.labels" -}}
app.kubernetes.io/name: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: ordermesh
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* `host:port` of all pods of a service. Takes root, name and service. */}}
{{- define "ordermesh.address" -}}
{{ printf "dns:///%s-%s-headless:%d" .root.Release.Name .name (int .service.ports.grpc) }}
{{- end }}

{{/* The common image. */}}
{{- define "ordermesh.image" -}}
{{- $image := .Values.global.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Labels of pods: none that changes with the chart alone. Takes root and component. */}}
{{- define "ordermesh.podLabels" -}}
app.kubernetes.io/name: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: ordermesh
{{- end }}

{{/* Pod Security "restricted", without a waiver. */}}
{{- define "ordermesh.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{/* `<SERVICE>_DATABASE_URL`: the connection of the role that may only read. Takes root, service, and its values of database. */}}
{{- define "ordermesh.readerConnection" -}}
{{- $global := .root.Values.global.database -}}
{{- $variable := printf "%s_DATABASE" (upper .service) -}}
{{- if $global.host -}}
{{- $parameters := list -}}
{{- with $global.parameters }}{{ $parameters = append $parameters . }}{{ end -}}
{{- if $global.caSecret }}{{ $parameters = append $parameters "sslrootcert=/etc/ordermesh/database/ca.crt" }}{{ end -}}
{{- $secret := .database.readerSecret | default (printf "%s-%s-database-reader" .root.Release.Name .service) -}}
{{- $at := printf "%s:%s/%s" $global.host (include "service.text" $global.port) (.database.name | default .service) -}}
{{ include "service.fromSecret" (dict "variable" (printf "%s_USERNAME" $variable) "secret" $secret "key" "username") }}
{{ include "service.fromSecret" (dict "variable" (printf "%s_PASSWORD" $variable) "secret" $secret "key" "password") }}
- name: {{ $variable }}_URL
  value: {{ printf "postgres://$(%s_USERNAME):$(%s_PASSWORD)@%s%s" $variable $variable $at (empty $parameters | ternary "" (printf "?%s" (join "&" $parameters))) | quote }}
{{- else -}}
{{- $secret := .root.Values.books.secret | default (printf "%s-books" .root.Release.Name) -}}
{{ include "service.fromSecret" (dict "variable" (printf "%s_URL" $variable) "secret" $secret "key" (printf "%s-database-url" .service)) }}
{{- end -}}
{{- end }}
