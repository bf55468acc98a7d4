{{/*
What every pod has, whatever it runs. Takes root, settings and what service.files takes; token, whether the account's is in the pod; and account, unless
it is the one of the namespace.
*/}}
{{- define "ordermesh.service.podSpec" -}}
automountServiceAccountToken: {{ .token | default false }}
enableServiceLinks: false
{{- with .account }}
serviceAccountName: {{ . | quote }}
{{- end }}
{{ include "ordermesh.service.podSecurity" .settings }}
{{- with include "ordermesh.service.pullSecrets" .root }}
{{ . }}
{{- end }}
{{- $fields := list "priorityClassName" "runtimeClassName" "hostAliases" "dnsPolicy" "dnsConfig" "nodeSelector" "tolerations" "affinity" "initContainers" }}
{{- range $field := $fields }}
{{- with get $.settings $field }}
{{ dict $field . | toYaml }}
{{- end }}
{{- end }}
{{- with include "ordermesh.service.volumes" . }}
volumes:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
The container of ours in a pod. Takes what service.podSpec takes, and name, image, args and resources; also config, the name of a ConfigMap, and env, its
own variables in YAML.
*/}}
{{- define "ordermesh.service.container" -}}
{{- $sources := list -}}
{{- with .config }}{{ $sources = append $sources (dict "configMapRef" (dict "name" .)) }}{{ end -}}
{{- $variables := .env | default "" | fromYamlArray -}}
name: {{ .name | quote }}
image: {{ include "ordermesh.service.image" . | quote }}
imagePullPolicy: {{ .root.Values.global.image.pullPolicy }}
args:
  {{- toYaml .args | nindent 2 }}
{{ include "ordermesh.service.containerSecurity" .root.Values }}
{{- with concat $sources .settings.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $own := concat $variables (list (dict "name" "GRPC_PORT") (dict "name" "HTTP_PORT") (dict "name" "ADMIN_PORT")) }}
{{- $_ := include "ordermesh.service.extended" (dict "root" .root "name" "extraEnv" "key" "name" "own" $own "extra" .settings.extraEnv) }}
{{- with concat $variables .settings.extraEnv }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml .resources | nindent 2 }}
{{- with include "ordermesh.service.mounts" . }}
volumeMounts:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}

{{/* How the pods of a service are spread over the cluster, in YAML. Takes root and settings. */}}
{{- define "ordermesh.service.spread" -}}
{{- $constraints := list -}}
{{- $selector := dict "matchLabels" (include "ordermesh.service.selector" .root | fromYaml) -}}
{{- $spread := .root.Values.spread -}}
{{- range $spread.topologyKeys -}}
{{- $constraint := dict "maxSkew" 1 "topologyKey" . "whenUnsatisfiable" $spread.whenUnsatisfiable -}}
{{- $constraints = append $constraints (merge $constraint (dict "labelSelector" $selector "matchLabelKeys" (list "pod-template-hash"))) -}}
{{- end -}}
{{- range .settings.topologySpreadConstraints -}}
{{- $constraints = append $constraints (hasKey . "labelSelector" | ternary . (set (deepCopy .) "labelSelector" $selector)) -}}
{{- end -}}
{{- with $constraints }}{{ toYaml . }}{{ end -}}
{{- end }}

{{/* The pods of one track. Takes root, image, track and, of a worker, version. */}}
{{- define "ordermesh.service.podTemplate" -}}
{{- $ := .root -}}
{{- $program := include "ordermesh.service.program" $ -}}
{{- $settings := include "ordermesh.service.settings" $ | fromJson -}}
{{- $pod := dict "root" $ "settings" $settings "account" (include "ordermesh.service.account" $) "token" $.Values.serviceAccount.automountToken -}}
{{- $_ := merge $pod (dict "database" true "tls" true "temporal" true "serves" true) -}}
{{- $annotations := dict "kubectl.kubernetes.io/default-container" $program "checksum/config" (include "ordermesh.service.variables" $ | sha256sum) -}}
{{- $labels := dict "ordermesh.io/track" .track -}}
{{- $metadata := dict "root" $ "settings" $settings "component" "service" "labels" $labels "annotations" $annotations -}}
metadata:
  {{- include "ordermesh.service.podMetadata" $metadata | nindent 2 }}
spec:
  {{- include "ordermesh.service.podSpec" $pod | nindent 2 }}
  terminationGracePeriodSeconds: {{ add $.Values.drain.pauseSeconds $.Values.drain.timeoutSeconds $.Values.drain.closeSeconds }}
  {{- with include "ordermesh.service.spread" (dict "root" $ "settings" $settings) }}
  topologySpreadConstraints:
    {{- . | nindent 4 }}
  {{- end }}
  containers:
    - {{- $container := dict "name" $program "image" .image "args" (list $program) "resources" $.Values.resources }}
      {{- $_ := merge $container (dict "config" (include "ordermesh.service.fullname" $) "env" (include "ordermesh.service.podVariables" .)) }}
      {{- include "ordermesh.service.container" (merge $container $pod) | nindent 6 }}
      ports:
        - name: grpc
          containerPort: {{ include "ordermesh.service.text" $.Values.ports.grpc }}
        {{- /* What is called http is in plain text and has health and metrics: those who scrape look for it. */}}
        {{- if include "ordermesh.service.httpTls" $ }}
        - name: https
          containerPort: {{ include "ordermesh.service.text" $.Values.ports.http }}
        {{- end }}
        - name: http
          containerPort: {{ include "ordermesh.service.adminPort" $ }}
      {{- include "ordermesh.service.probes" $ | nindent 6 }}
      {{- with $.Values.drain.pauseSeconds }}
      # The kubelet waits while the endpoints lose this pod everywhere, and only then sends SIGTERM.
      lifecycle:
        preStop:
          sleep:
            seconds: {{ include "ordermesh.service.text" . }}
      {{- end }}
    {{- with $settings.sidecars }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* The variables of a pod that serves, which are in no ConfigMap. Takes root and version. */}}
{{- define "ordermesh.service.podVariables" -}}
{{- $ := .root -}}
{{- include "ordermesh.service.secretVariables" $ }}
{{- with include "ordermesh.service.versionVariables" . }}
{{ . }}
{{- end }}
{{- if $.Values.temporal.enabled }}
{{ include "ordermesh.service.payloadVariables" $ }}
{{- end }}
{{- if $.Values.global.limits.storeSecret }}
- name: RATE_LIMIT_STORE_PASSWORD_FILE
  value: /etc/ordermesh/limit-store/password
{{- end }}
{{- $eventsUser := include "ordermesh.service.eventsUser" $ }}
{{- if and $.Values.database.enabled $.Values.global.events.servers $eventsUser }}
{{ include "ordermesh.service.fromSecret" (dict "variable" "EVENTS_NATS_USERNAME" "secret" $eventsUser "key" "username") }}
- name: EVENTS_NATS_PASSWORD_FILE
  value: /etc/ordermesh/events-user/password
{{- end }}
{{- if $.Values.personal.enabled }}
- name: PERSONAL_DATA_KEYS_FILE
  value: /etc/ordermesh/personal-keys/keys
{{- end }}
{{- if $.Values.flags }}
- name: FLAGS_FILE
  value: /etc/ordermesh/flags/flags.json
{{- end }}
{{- end }}

{{/* What is secret, from files or from the environment. */}}
{{- define "ordermesh.service.secretVariables" -}}
{{- $keys := .Values.secret.keys -}}
{{- if .Values.global.secretFiles -}}
{{ include "ordermesh.service.secretFileVariables" . }}
{{- else -}}
{{ include "ordermesh.service.fromSecret" (dict "variable" "PAGE_TOKEN_SECRET" "secret" (include "ordermesh.service.secretName" .) "key" $keys.pageTokenSecret) }}
{{- if ne .Values.global.credentials.mode "disabled" }}
{{ include "ordermesh.service.fromSecret" (dict "variable" "SERVICE_KEY" "secret" (include "ordermesh.service.serviceKeysSecret" .) "key" (include "ordermesh.service.program" .)) }}
{{ include "ordermesh.service.publicKeys" . }}
{{- end }}
{{- if .Values.temporal.enabled }}
{{- with include "ordermesh.service.temporalKey" . }}
{{ . }}
{{- end }}
{{- end }}
{{- if .Values.database.enabled }}
{{- $secret := include "ordermesh.service.runtimeSecret" . }}
{{ include "ordermesh.service.connection" (dict "root" . "variable" "DATABASE_URL" "key" $keys.databaseUrl "secret" $secret) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The kubelet speaks no TLS over gRPC and has no certificate; the port in plain text answers the same questions. */}}
{{- define "ordermesh.service.probes" -}}
startupProbe:
  {{- include "ordermesh.service.probe" (dict "root" . "path" "/healthz" "service" "liveness") | nindent 2 }}
  {{- toYaml .Values.probes.startup | nindent 2 }}
readinessProbe:
  {{- include "ordermesh.service.probe" (dict "root" . "path" "/readyz" "service" "") | nindent 2 }}
  {{- toYaml .Values.probes.readiness | nindent 2 }}
livenessProbe:
  {{- include "ordermesh.service.probe" (dict "root" . "path" "/healthz" "service" "liveness") | nindent 2 }}
  {{- toYaml .Values.probes.liveness | nindent 2 }}
{{- end }}

{{- define "ordermesh.service.probe" -}}
{{- if .root.Values.global.tls.enabled -}}
httpGet:
  port: {{ include "ordermesh.service.adminPort" .root }}
  path: {{ .path }}
{{- else -}}
grpc:
  port: {{ include "ordermesh.service.text" .root.Values.ports.grpc }}
  {{- with .service }}
  service: {{ . }}
  {{- end }}
{{- end -}}
{{- end }}

{{/* The variables of the job that promotes a version, which are in no ConfigMap. */}}
{{- define "ordermesh.service.promoted" -}}
{{- with include "ordermesh.service.temporalKey" . }}
{{- . }}
{{ end -}}
- name: TEMPORAL_DEPLOYMENT
  value: {{ include "ordermesh.service.fullname" . | quote }}
{{- if ne .Values.versions.current "unversioned" }}
- name: TEMPORAL_BUILD_ID
  value: {{ .Values.versions.current | quote }}
{{- end }}
{{- end }}
