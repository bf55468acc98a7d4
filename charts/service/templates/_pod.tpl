{{/* The pods of one track. Takes root, image, track and, of a worker, version. */}}
{{- define "service.podTemplate" -}}
{{- $ := .root -}}
metadata:
  labels:
    {{- include "service.podLabels" (dict "root" $ "component" "service") | nindent 4 }}
    ordermesh.io/track: {{ .track }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ include "service.program" $ }}
    checksum/config: {{ include "service.variables" $ | sha256sum }}
    {{- with $.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "service.fullname" $ }}
  {{- include "service.podSecurity" $ | nindent 2 }}
  {{- with include "service.pullSecrets" $ }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with $.Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ add $.Values.drain.pauseSeconds $.Values.drain.timeoutSeconds $.Values.drain.closeSeconds }}
  topologySpreadConstraints:
    {{- range $.Values.spread.topologyKeys }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: {{ $.Values.spread.whenUnsatisfiable }}
      labelSelector:
        matchLabels:
          {{- include "service.selector" $ | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  containers:
    - name: {{ include "service.program" $ }}
      image: {{ include "service.image" (dict "root" $ "image" .image) }}
      imagePullPolicy: {{ $.Values.global.image.pullPolicy }}
      args: [{{ include "service.program" $ }}]
      {{- include "service.containerSecurity" $ | nindent 6 }}
      ports:
        - name: grpc
          containerPort: {{ include "service.text" $.Values.ports.grpc }}
        - name: http
          containerPort: {{ include "service.text" $.Values.ports.http }}
      envFrom:
        - configMapRef:
            name: {{ include "service.fullname" $ }}
      env:
        {{- include "service.fromSecret" (dict "variable" "PAGE_TOKEN_SECRET" "secret" (include "service.secretName" $) "key" $.Values.secret.keys.pageTokenSecret) | nindent 8 }}
        {{- with include "service.versionVariables" (dict "root" $ "version" .version) }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- if $.Values.temporal.enabled }}
        {{- with include "service.temporalKey" $ }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- end }}
        {{- if $.Values.database.enabled }}
        {{- $secret := $.Values.database.runtimeSecret | default (printf "%s-database" (include "service.fullname" $)) }}
        {{- include "service.connection" (dict "root" $ "variable" "DATABASE_URL" "key" $.Values.secret.keys.databaseUrl "secret" $secret) | nindent 8 }}
        {{- end }}
      resources:
        {{- toYaml $.Values.resources | nindent 8 }}
      {{- include "service.probes" $ | nindent 6 }}
      {{- with $.Values.drain.pauseSeconds }}
      # The kubelet waits while the endpoints lose this pod everywhere, and only then sends SIGTERM.
      lifecycle:
        preStop:
          sleep:
            seconds: {{ include "service.text" . }}
      {{- end }}
      {{- $files := dict "root" $ "database" true "tls" true "temporal" true }}
      {{- with include "service.mounts" $files }}
      {{- . | nindent 6 }}
      {{- end }}
  {{- with include "service.volumes" $files }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with $.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $.Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* The kubelet speaks no TLS over gRPC; the HTTP port answers the same questions. */}}
{{- define "service.probes" -}}
startupProbe:
  {{- include "service.probe" (dict "root" . "path" "/healthz" "service" "liveness") | nindent 2 }}
  {{- toYaml .Values.probes.startup | nindent 2 }}
readinessProbe:
  {{- include "service.probe" (dict "root" . "path" "/readyz" "service" "") | nindent 2 }}
  {{- toYaml .Values.probes.readiness | nindent 2 }}
livenessProbe:
  {{- include "service.probe" (dict "root" . "path" "/healthz" "service" "liveness") | nindent 2 }}
  {{- toYaml .Values.probes.liveness | nindent 2 }}
{{- end }}

{{- define "service.probe" -}}
{{- if .root.Values.global.tls.enabled -}}
httpGet:
  port: {{ include "service.text" .root.Values.ports.http }}
  path: {{ .path }}
{{- else -}}
grpc:
  port: {{ include "service.text" .root.Values.ports.grpc }}
  {{- with .service }}
  service: {{ . }}
  {{- end }}
{{- end -}}
{{- end }}
