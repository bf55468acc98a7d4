{{/* A value as text. Helm holds whole numbers as floating ones, whose text can be 1e+06. */}}
{{- define "ordermesh.service.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end }}

{{/* What is not secret, as a map of variables; `config` wins. */}}
{{- define "ordermesh.service.variables" -}}
{{- $global := .Values.global -}}
{{- $all := dict
  "LISTEN_HOST" "0.0.0.0"
  "LOG_FORMAT" "json"
  "LOG_LEVEL" $global.logLevel
  "GRPC_PORT" (include "ordermesh.service.text" .Values.ports.grpc)
  "HTTP_PORT" (include "ordermesh.service.text" .Values.ports.http)
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
{{- if and $global.tls.enabled (or (eq $global.credentials.mode "strict") $global.credentials.certificates) -}}
{{- with .Values.tls.services }}{{ $_ := set $all "SPIFFE_SERVICES" (toJson .) }}{{ end -}}
{{- end -}}
{{- with include "ordermesh.service.httpTls" . -}}
{{- /* Who reads tokens fetches identity's keys, and cannot show a certificate there. */ -}}
{{- $_ := set $all "HTTP_TLS" (eq (include "ordermesh.service.program" $) "identity" | ternary "tls" .) -}}
{{- $_ := set $all "ADMIN_PORT" (include "ordermesh.service.text" $.Values.ports.admin) -}}
{{- /* Issuers may be within the mesh: identity is. Read at the start. */ -}}
{{- $_ := set $all "NODE_EXTRA_CA_CERTS" "/etc/ordermesh/tls/ca.crt" -}}
{{- end -}}
{{- $_ := set $all "TOKEN_ISSUERS" (include "ordermesh.service.tokenIssuers" .) -}}
{{- if eq (include "ordermesh.service.program" .) "identity" -}}
{{- $_ := set $all "TOKEN_ISSUER" (include "ordermesh.service.ownIssuer" .) -}}
{{- end -}}
{{- with $global.limits.trustedProxies -}}
{{- $_ := set $all "TRUSTED_PROXIES" (join "," .) -}}
{{- $_ := set $all "PROXY_HEADER" $global.limits.proxyHeader -}}
{{- end -}}
{{- with $global.limits.store }}{{ $_ := set $all "RATE_LIMIT_STORE_URL" . }}{{ end -}}
{{- if and .Values.database.enabled $global.events.servers -}}
{{- $_ := set $all "EVENTS_NATS_URL" $global.events.servers -}}
{{- if $global.events.caSecret }}{{ $_ := set $all "EVENTS_NATS_CA" "/etc/ordermesh/events-ca/ca.crt" }}{{ end -}}
{{- end -}}
{{- if eq (include "ordermesh.service.program" .) "notifications" -}}
{{- if not (and .Values.config.MAIL_SERVER_URL .Values.config.MAIL_FROM $global.events.servers) -}}
{{- fail "say by which mail server customers are told (notifications.config.MAIL_SERVER_URL), by whom (notifications.config.MAIL_FROM), and where events are heard (global.events.servers): docs/notifications.md" -}}
{{- end -}}
{{- end -}}
{{- if and (eq (include "ordermesh.service.program" .) "webhooks") (not $global.events.servers) -}}
{{- fail "say where the events are that endpoints are told of (global.events.servers): docs/webhooks.md" -}}
{{- end -}}
{{- $_ := set $all "RATE_LIMIT_REPLICAS" (include "ordermesh.service.text" (ternary .Values.autoscaling.minReplicas .Values.replicas .Values.autoscaling.enabled)) -}}
{{- range .Values.calls -}}
{{- if not .port }}{{ fail (printf "%s: say at which port %s is called (calls)" $.Chart.Name .service) }}{{ end -}}
{{- $name := .variable | default (printf "%s_ADDRESS" (.service | upper | replace "-" "_")) -}}
{{- $_ := set $all $name (printf "dns:///%s:%s" (include "ordermesh.service.named" (dict "root" $ "service" .service "suffix" "headless")) (include "ordermesh.service.text" .port)) -}}
{{- end -}}
{{- range $connector := include "ordermesh.service.connectorsOf" . | fromJsonArray -}}
{{- with (get $global.connectors $connector).address }}{{ $_ := set $all (printf "%s_CONNECTOR_ADDRESS" (upper $connector)) . }}{{ end -}}
{{- end -}}
{{- if eq (include "ordermesh.service.program" .) "shipping" -}}
{{- $_ := set $all "WAREHOUSE" (hasKey $all "WAREHOUSE_CONNECTOR_ADDRESS" | ternary "connector" "people") -}}
{{- end -}}
{{- if .Values.temporal.enabled -}}
{{- $_ := set $all "TEMPORAL_ADDRESS" $global.temporal.address -}}
{{- $_ := set $all "TEMPORAL_NAMESPACE" $global.temporal.namespace -}}
{{- $_ := set $all "TASK_QUEUE" ($global.temporal.taskQueue | default (include "ordermesh.service.taskQueue" .)) -}}
{{- $tls := $global.temporal.tls -}}
{{- if $tls.enabled -}}
{{- $_ := set $all "TEMPORAL_TLS" "true" -}}
{{- if $tls.caSecret }}{{ $_ := set $all "TEMPORAL_TLS_CA" "/etc/ordermesh/temporal-ca/ca.crt" }}{{ end -}}
{{- if $tls.clientSecret -}}
{{- $_ := set $all "TEMPORAL_TLS_CERT" "/etc/ordermesh/temporal-client/tls.crt" -}}
{{- $_ := set $all "TEMPORAL_TLS_KEY" "/etc/ordermesh/temporal-client/tls.key" -}}
{{- end -}}
{{- with $tls.serverName }}{{ $_ := set $all "TEMPORAL_TLS_SERVER_NAME" . }}{{ end -}}
{{- end -}}
{{- with $global.temporal.payloads.uiOrigins }}{{ $_ := set $all "CODEC_UI_ORIGINS" (join "," .) }}{{ end -}}
{{- end -}}
{{- range $name, $value := .Values.config }}{{ $_ := set $all $name (include "ordermesh.service.text" $value) }}{{ end -}}
{{ toYaml $all }}
{{- end }}

{{/* How the HTTP port speaks TLS; empty when it does not. Who reads identity's keys has no certificate to show, nor has who logs in there. */}}
{{- define "ordermesh.service.httpTls" -}}
{{- $isOpen := eq (include "ordermesh.service.program" .) "identity" -}}
{{- with .Values.global.tls }}{{ if and .enabled (ne .http "plain") }}{{ $isOpen | ternary "tls" .http }}{{ end }}{{ end -}}
{{- end }}

{{/* The port with health and metrics, always in plain text. */}}
{{- define "ordermesh.service.adminPort" -}}
{{ include "ordermesh.service.text" (include "ordermesh.service.httpTls" . | empty | ternary .Values.ports.http .Values.ports.admin) }}
{{- end }}

{{/* A variable from a key of a secret. Takes variable, secret and key. */}}
{{- define "ordermesh.service.fromSecret" -}}
- name: {{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret | quote }}
      key: {{ .key | quote }}
{{- end }}

{{/* What Temporal is shown besides a certificate. */}}
{{- define "ordermesh.service.temporalKey" -}}
{{- with .Values.global.temporal.apiKeySecret -}}
{{ include "ordermesh.service.fromSecret" (dict "variable" "TEMPORAL_API_KEY" "secret" . "key" "api-key") }}
{{- end -}}
{{- end }}

{{/* Where the service's database is: what follows the role in a URL. Takes root. */}}
{{- define "ordermesh.service.databaseAt" -}}
{{- $database := .root.Values.global.database -}}
{{- $parameters := list -}}
{{- with $database.parameters }}{{ $parameters = append $parameters . }}{{ end -}}
{{- if $database.caSecret }}{{ $parameters = append $parameters "sslrootcert=/etc/ordermesh/database/ca.crt" }}{{ end -}}
{{- $name := .root.Values.database.name | default (include "ordermesh.service.called" .root) -}}
{{- $at := printf "%s:%s/%s" $database.host (include "ordermesh.service.text" $database.port) $name -}}
{{ printf "%s%s" $at (empty $parameters | ternary "" (printf "?%s" (join "&" $parameters))) }}
{{- end }}

{{/* The connection of a role. Takes root, variable, key (of the service's secret) and secret (of the role). */}}
{{- define "ordermesh.service.connection" -}}
{{- if .root.Values.global.database.host -}}
{{ include "ordermesh.service.fromSecret" (dict "variable" "DATABASE_USERNAME" "secret" .secret "key" "username") }}
{{ include "ordermesh.service.fromSecret" (dict "variable" "DATABASE_PASSWORD" "secret" .secret "key" "password") }}
- name: {{ .variable }}
  value: {{ printf "postgres://$(DATABASE_USERNAME):$(DATABASE_PASSWORD)@%s" (include "ordermesh.service.databaseAt" .) | quote }}
{{- else -}}
{{ include "ordermesh.service.fromSecret" (dict "variable" .variable "secret" (include "ordermesh.service.secretName" .root) "key" .key) }}
{{- end -}}
{{- end }}

{{/*
Files that a container reads, as a list in JSON: the database's authority and, with tls, the service's certificate,
with temporal, Temporal's authority and the certificate that it is shown, with serves, the keys of what Temporal keeps and who may see it, feature flags, and
whatever else is secret when that comes from files. All are of secrets but the flags. Takes root, database, tls, temporal and serves.
*/}}
{{- define "ordermesh.service.files" -}}
{{- $global := .root.Values.global -}}
{{- $files := list -}}
{{- if and .database .root.Values.database.enabled $global.database.host $global.database.caSecret -}}
{{- $files = append $files (dict "name" "database-ca" "folder" "database" "secret" $global.database.caSecret "keys" (list "ca.crt")) -}}
{{- end -}}
{{- if and .tls $global.tls.enabled -}}
{{- $files = append $files (dict "name" "tls" "folder" "tls" "secret" (include "ordermesh.service.tlsSecret" .root)) -}}
{{- end -}}
{{- if and .temporal .root.Values.temporal.enabled $global.temporal.tls.enabled -}}
{{- with $global.temporal.tls.caSecret -}}
{{- $files = append $files (dict "name" "temporal-ca" "folder" "temporal-ca" "secret" . "keys" (list "ca.crt")) -}}
{{- end -}}
{{- with $global.temporal.tls.clientSecret -}}
{{- $files = append $files (dict "name" "temporal-client" "folder" "temporal-client" "secret" . "keys" (list "tls.crt" "tls.key")) -}}
{{- end -}}
{{- end -}}
{{- if and .serves .root.Values.temporal.enabled -}}
{{- $keys := include "ordermesh.service.payloadKeysSecret" .root -}}
{{- $files = append $files (dict "name" "payload-keys" "folder" "payload-keys" "secret" $keys "keys" (list "keys")) -}}
{{- with $global.temporal.payloads.tokensSecret -}}
{{- $files = append $files (dict "name" "codec-tokens" "folder" "codec-tokens" "secret" . "keys" (list "tokens")) -}}
{{- end -}}
{{- end -}}
{{- if and .serves .root.Values.personal.enabled -}}
{{- $keys := include "ordermesh.service.personalKeysSecret" .root -}}
{{- $files = append $files (dict "name" "personal-keys" "folder" "personal-keys" "secret" $keys "keys" (list "keys")) -}}
{{- end -}}
{{- if .serves -}}
{{- with $global.limits.storeSecret -}}
{{- $files = append $files (dict "name" "limit-store" "folder" "limit-store" "secret" . "keys" (list "password")) -}}
{{- end -}}
{{- if and .root.Values.database.enabled $global.events.servers -}}
{{- with include "ordermesh.service.eventsUser" .root -}}
{{- $files = append $files (dict "name" "events-user" "folder" "events-user" "secret" . "keys" (list "password")) -}}
{{- end -}}
{{- with $global.events.caSecret -}}
{{- $files = append $files (dict "name" "events-ca" "folder" "events-ca" "secret" . "keys" (list "ca.crt")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .serves .root.Values.flags -}}
{{- $files = append $files (dict "name" "flags" "folder" "flags" "configMap" (include "ordermesh.service.flagsConfig" .root)) -}}
{{- end -}}
{{- if and .serves $global.secretFiles -}}
{{- $files = concat $files (include "ordermesh.service.secretFiles" .root | fromJsonArray) -}}
{{- end -}}
{{ $files | toJson }}
{{- end }}

{{/* What is secret of a pod that serves, as files; see service.files. */}}
{{- define "ordermesh.service.secretFiles" -}}
{{- $host := .Values.global.database.host -}}
{{- $own := list .Values.secret.keys.pageTokenSecret -}}
{{- if and .Values.database.enabled (not $host) }}{{ $own = append $own .Values.secret.keys.databaseUrl }}{{ end -}}
{{- $files := list (dict "name" "secrets" "folder" "secrets" "secret" (include "ordermesh.service.secretName" .) "keys" $own) -}}
{{- if ne .Values.global.credentials.mode "disabled" -}}
{{- $own := list (include "ordermesh.service.program" .) -}}
{{- $files = append $files (dict "name" "service-key" "folder" "service-key" "secret" (include "ordermesh.service.serviceKeysSecret" .) "keys" $own) -}}
{{- end -}}
{{- if and .Values.database.enabled $host -}}
{{- $files = append $files (dict "name" "database-role" "folder" "database-role" "secret" (include "ordermesh.service.runtimeSecret" .) "keys" (list "username" "password")) -}}
{{- end -}}
{{- if .Values.temporal.enabled -}}
{{- with .Values.global.temporal.apiKeySecret -}}
{{- $files = append $files (dict "name" "temporal-key" "folder" "temporal-key" "secret" . "keys" (list "api-key")) -}}
{{- end -}}
{{- end -}}
{{ $files | toJson }}
{{- end }}

{{/* Where a pod that serves finds those files. */}}
{{- define "ordermesh.service.secretFileVariables" -}}
- name: PAGE_TOKEN_SECRET_FILE
  value: /etc/ordermesh/secrets/{{ .Values.secret.keys.pageTokenSecret }}
{{- if ne .Values.global.credentials.mode "disabled" }}
- name: SERVICE_KEY_FILE
  value: /etc/ordermesh/service-key/{{ include "ordermesh.service.program" . }}
{{ include "ordermesh.service.publicKeys" . }}
{{- end }}
{{- if .Values.database.enabled }}
{{- if .Values.global.database.host }}
- name: DATABASE_URL
  value: {{ printf "postgres://%s" (include "ordermesh.service.databaseAt" (dict "root" .)) | quote }}
- name: DATABASE_USERNAME_FILE
  value: /etc/ordermesh/database-role/username
- name: DATABASE_PASSWORD_FILE
  value: /etc/ordermesh/database-role/password
{{- else }}
- name: DATABASE_URL_FILE
  value: /etc/ordermesh/secrets/{{ .Values.secret.keys.databaseUrl }}
{{- end }}
{{- end }}
{{- if and .Values.temporal.enabled .Values.global.temporal.apiKeySecret }}
- name: TEMPORAL_API_KEY_FILE
  value: /etc/ordermesh/temporal-key/api-key
{{- end }}
{{- end }}

{{/* As whom the service logs in at the broker of events: whoever listens may not tell. */}}
{{- define "ordermesh.service.eventsUser" -}}
{{- $events := .Values.global.events -}}
{{ has (include "ordermesh.service.program" .) (list "notifications" "webhooks") | ternary ($events.listenerSecret | default $events.userSecret) $events.userSecret }}
{{- end }}

{{- define "ordermesh.service.runtimeSecret" -}}
{{ .Values.database.runtimeSecret | default (include "ordermesh.service.named" (dict "root" . "suffix" "database")) }}
{{- end }}

{{/* Takes what "ordermesh.service.named" takes of a chart, as root. */}}
{{- define "ordermesh.service.serviceKeysSecret" -}}
{{ .Values.global.credentials.keysSecret | default (include "ordermesh.service.named" (dict "root" . "service" "service" "suffix" "keys")) }}
{{- end }}

{{/* The halves of all services' keys that everybody knows. */}}
{{- define "ordermesh.service.publicKeys" -}}
{{ include "ordermesh.service.fromSecret" (dict "variable" "SERVICE_KEYS" "secret" (include "ordermesh.service.serviceKeysSecret" .) "key" "public") }}
{{- end }}

{{/* How the mesh's own identity calls itself. */}}
{{- define "ordermesh.service.ownIssuer" -}}
{{ .Values.global.credentials.issuer | default (include "ordermesh.service.identityUrl" .) }}
{{- end }}

{{/* Where pods reach its HTTP port; the chart around says where it listens. */}}
{{- define "ordermesh.service.identityUrl" -}}
{{- $port := eq (include "ordermesh.service.program" .) "identity" | ternary .Values.ports.http .Values.identityPort -}}
{{- $scheme := include "ordermesh.service.httpTls" . | empty | ternary "http" "https" -}}
{{ printf "%s://%s:%s" $scheme (include "ordermesh.service.nameOf" (dict "root" . "service" "identity")) (include "ordermesh.service.text" $port) }}
{{- end }}

{{/* Whose tokens a service takes, as `TOKEN_ISSUERS` has it. */}}
{{- define "ordermesh.service.tokenIssuers" -}}
{{- $credentials := .Values.global.credentials -}}
{{- $issuers := $credentials.issuers -}}
{{- if hasKey .Values "identityPort" -}}
{{- $keys := printf "%s/.well-known/jwks.json" (include "ordermesh.service.identityUrl" .) -}}
{{- $issuers = prepend $issuers (dict "issuer" (include "ordermesh.service.ownIssuer" .) "audience" "ordermesh" "keys" $keys) -}}
{{- end -}}
{{- if or (ne $credentials.mode "strict") (eq (include "ordermesh.service.program" .) "identity") -}}
none
{{- else if not $issuers -}}
{{- fail "global.credentials.mode is strict, and there is nobody whose tokens are taken: name some in global.credentials.issuers, or say disabled" -}}
{{- else -}}
{{ toJson $issuers }}
{{- end -}}
{{- end }}

{{- define "ordermesh.service.payloadKeysSecret" -}}
{{ .Values.global.temporal.payloads.keysSecret | default (include "ordermesh.service.named" (dict "root" . "suffix" "payload-keys")) }}
{{- end }}

{{- define "ordermesh.service.personalKeysSecret" -}}
{{ .Values.global.personal.keysSecret | default (include "ordermesh.service.named" (dict "root" . "suffix" "personal-keys")) }}
{{- end }}

{{/*
A secret with a key that the chart makes. Made once: a hook belongs to no release, so neither an upgrade, nor a rollback, nor the release's
end takes a key away that is needed. Takes root and name.
*/}}
{{- define "ordermesh.service.madeKeys" -}}
{{- if not (lookup "v1" "Secret" .root.Release.Namespace .name) }}
{{- $hook := dict "helm.sh/hook" "pre-install,pre-upgrade" "helm.sh/hook-weight" "-10" "helm.sh/hook-delete-policy" "hook-failed" }}
{{- /* Argo CD renders without asking the cluster: it would make another key each time. */}}
{{- $_ := set $hook "argocd.argoproj.io/hook" "Skip" }}
apiVersion: v1
kind: Secret
metadata:
  {{- include "ordermesh.service.metadata" (dict "root" .root "name" .name "component" "service" "annotations" $hook) | nindent 2 }}
type: Opaque
data:
  keys: {{ printf "%s %s\n" (now | date "2006-01-02") (randBytes 32) | b64enc }}
{{- end }}
{{- end }}

{{/* Where a pod that serves finds the keys of what Temporal keeps, and who may see it. */}}
{{- define "ordermesh.service.payloadVariables" -}}
- name: TEMPORAL_CODEC_KEYS_FILE
  value: /etc/ordermesh/payload-keys/keys
{{- if .Values.global.temporal.payloads.tokensSecret }}
- name: CODEC_TOKENS_FILE
  value: /etc/ordermesh/codec-tokens/tokens
{{- end }}
{{- end }}

{{/* What a container mounts, in YAML. Takes what service.files takes, and settings. */}}
{{- define "ordermesh.service.mounts" -}}
{{- $mounts := list -}}
{{- range include "ordermesh.service.files" . | fromJsonArray -}}
{{- $mounts = append $mounts (dict "name" .name "mountPath" (printf "/etc/ordermesh/%s" .folder) "readOnly" true) -}}
{{- end -}}
{{- $list := dict "root" .root "name" "extraVolumeMounts" "key" "mountPath" "own" $mounts "extra" .settings.extraVolumeMounts -}}
{{ include "ordermesh.service.extended" $list }}
{{- end }}

{{/* What can be mounted, in YAML. Takes the same. */}}
{{- define "ordermesh.service.volumes" -}}
{{- $volumes := list -}}
{{- range include "ordermesh.service.files" . | fromJsonArray -}}
{{- if .configMap -}}
{{- $volumes = append $volumes (dict "name" .name "configMap" (dict "name" .configMap)) -}}
{{- else -}}
{{- $secret := dict "secretName" .secret -}}
{{- with .keys -}}
{{- $items := list -}}
{{- range . }}{{ $items = append $items (dict "key" . "path" .) }}{{ end -}}
{{- $_ := set $secret "items" $items -}}
{{- end -}}
{{- $volumes = append $volumes (dict "name" .name "secret" $secret) -}}
{{- end -}}
{{- end -}}
{{- $list := dict "root" .root "name" "extraVolumes" "key" "name" "own" $volumes "extra" .settings.extraVolumes -}}
{{ include "ordermesh.service.extended" $list }}
{{- end }}

{{- define "ordermesh.service.flagsConfig" -}}
{{ include "ordermesh.service.named" (dict "root" . "suffix" "flags") }}
{{- end }}

{{- define "ordermesh.service.tlsSecret" -}}
{{ .Values.tls.secret | default (include "ordermesh.service.named" (dict "root" . "suffix" "tls")) }}
{{- end }}
