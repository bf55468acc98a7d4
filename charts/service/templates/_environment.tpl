{{/* A value as text. Helm holds whole numbers as floating ones, whose text can be 1e+06. */}}
{{- define "service.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end }}

{{/* What is not secret, as a map of variables; `config` wins. */}}
{{- define "service.variables" -}}
{{- $global := .Values.global -}}
{{- $all := dict
  "LISTEN_HOST" "0.0.0.0"
  "LOG_FORMAT" "json"
  "LOG_LEVEL" $global.logLevel
  "GRPC_PORT" (include "service.text" .Values.ports.grpc)
  "HTTP_PORT" (include "service.text" .Values.ports.http)
  "DRAIN_TIMEOUT_MS" (mul .Values.drain.timeoutSeconds 1000 | toString)
  "MAX_CONNECTION_AGE_MS" (mul .Values.connectionAgeSeconds 1000 | toString)
  "OTEL_TRACES_EXPORTER" $global.tracing.exporters
  "OTEL_TRACES_SAMPLER_ARG" ($global.tracing.ratio | toString)
-}}
{{- range $exporter := splitList "," $global.tracing.exporters -}}
{{- with get $global.tracing $exporter }}{{ $_ := set $all (printf "OTEL_EXPORTER_%s_ENDPOINT" (upper $exporter)) . }}{{ end -}}
{{- end -}}
{{- if $global.tls.enabled -}}
{{- $_ := set $all "GRPC_TLS_CERT" "/etc/ordermesh/tls/tls.crt" -}}
{{- $_ := set $all "GRPC_TLS_KEY" "/etc/ordermesh/tls/tls.key" -}}
{{- $_ := set $all "GRPC_TLS_CA" "/etc/ordermesh/tls/ca.crt" -}}
{{- end -}}
{{- range .Values.calls -}}
{{- $name := printf "%s_ADDRESS" (.service | upper | replace "-" "_") -}}
{{- $_ := set $all $name (printf "dns:///%s-%s-headless:%s" $.Release.Name .service (include "service.text" .port)) -}}
{{- end -}}
{{- if .Values.temporal.enabled -}}
{{- $_ := set $all "TEMPORAL_ADDRESS" $global.temporal.address -}}
{{- $_ := set $all "TEMPORAL_NAMESPACE" $global.temporal.namespace -}}
{{- $_ := set $all "TASK_QUEUE" $global.temporal.taskQueue -}}
{{- end -}}
{{- range $name, $value := .Values.config }}{{ $_ := set $all $name (include "service.text" $value) }}{{ end -}}
{{ toYaml $all }}
{{- end }}

{{/* A variable from a key of a secret. Takes variable, secret and key. */}}
{{- define "service.fromSecret" -}}
- name: {{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end }}

{{/* The connection of a role. Takes root, variable, key (of the service's secret) and secret (of the role). */}}
{{- define "service.connection" -}}
{{- $database := .root.Values.global.database -}}
{{- if $database.host -}}
{{- $parameters := list -}}
{{- with $database.parameters }}{{ $parameters = append $parameters . }}{{ end -}}
{{- if $database.caSecret }}{{ $parameters = append $parameters "sslrootcert=/etc/ordermesh/database/ca.crt" }}{{ end -}}
{{- $name := .root.Values.database.name | default (include "service.program" .root) -}}
{{- $at := printf "%s:%s/%s" $database.host (include "service.text" $database.port) $name -}}
{{ include "service.fromSecret" (dict "variable" "DATABASE_USERNAME" "secret" .secret "key" "username") }}
{{ include "service.fromSecret" (dict "variable" "DATABASE_PASSWORD" "secret" .secret "key" "password") }}
- name: {{ .variable }}
  value: {{ printf "postgres://$(DATABASE_USERNAME):$(DATABASE_PASSWORD)@%s%s" $at (empty $parameters | ternary "" (printf "?%s" (join "&" $parameters))) | quote }}
{{- else -}}
{{ include "service.fromSecret" (dict "variable" .variable "secret" (include "service.secretName" .root) "key" .key) }}
{{- end -}}
{{- end }}

{{/* Files that a container reads: the database's authority and, when it serves or calls, its certificate. Takes root and tls. */}}
{{- define "service.mounts" -}}
{{- $values := .root.Values -}}
{{- $authority := and $values.database.enabled $values.global.database.host $values.global.database.caSecret -}}
{{- if or $authority .tls }}
volumeMounts:
  {{- if $authority }}
  - name: database-ca
    mountPath: /etc/ordermesh/database
    readOnly: true
  {{- end }}
  {{- if .tls }}
  - name: tls
    mountPath: /etc/ordermesh/tls
    readOnly: true
  {{- end }}
{{- end }}
{{- end }}

{{- define "service.volumes" -}}
{{- $values := .root.Values -}}
{{- $authority := and $values.database.enabled $values.global.database.host $values.global.database.caSecret -}}
{{- if or $authority .tls }}
volumes:
  {{- if $authority }}
  - name: database-ca
    secret:
      secretName: {{ $values.global.database.caSecret }}
      items:
        - key: ca.crt
          path: ca.crt
  {{- end }}
  {{- if .tls }}
  - name: tls
    secret:
      secretName: {{ include "service.tlsSecret" .root }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "service.tlsSecret" -}}
{{ .Values.tls.secret | default (printf "%s-tls" (include "service.fullname" .)) }}
{{- end }}
