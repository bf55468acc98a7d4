{{/* A way out to peers on TCP ports; with no peers, to anywhere on these ports. Takes peers and ports. */}}
{{- define "ordermesh.service.wayOut" -}}
- {{ if .peers }}to:
    {{- toYaml .peers | nindent 4 }}
  {{ end }}ports:
    {{- range .ports }}
    - protocol: TCP
      port: {{ include "ordermesh.service.text" . }}
    {{- end }}
{{- end }}

{{- define "ordermesh.service.toDns" -}}
- to:
    {{- toYaml .Values.global.network.dns | nindent 4 }}
  ports:
    - protocol: UDP
      port: {{ include "ordermesh.service.text" .Values.global.network.dnsPort }}
    - protocol: TCP
      port: {{ include "ordermesh.service.text" .Values.global.network.dnsPort }}
{{- end }}

{{- define "ordermesh.service.toDatabase" -}}
{{ include "ordermesh.service.wayOut" (dict "peers" .Values.global.network.database "ports" (list .Values.global.database.port)) }}
{{- end }}

{{/* The ports of the URLs that traces are sent to, as a list in YAML. */}}
{{- define "ordermesh.service.tracingPorts" -}}
{{- $ports := list -}}
{{- $tracing := .Values.global.tracing -}}
{{- range $exporter := splitList "," $tracing.exporters -}}
{{- with $url := get $tracing $exporter -}}
{{- $parts := urlParse $url -}}
{{- $port := regexFind ":[0-9]+$" $parts.host | trimPrefix ":" | default (eq $parts.scheme "https" | ternary "443" "80") -}}
{{- $ports = append $ports (int $port) -}}
{{- end -}}
{{- end -}}
{{ $ports | uniq | toJson }}
{{- end }}
