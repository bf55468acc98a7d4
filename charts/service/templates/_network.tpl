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

{{/* The port of a URL. */}}
{{- define "ordermesh.service.portOf" -}}
{{- $parts := urlParse . -}}
{{ regexFind ":[0-9]+$" $parts.host | trimPrefix ":" | default (eq $parts.scheme "https" | ternary "443" "80") }}
{{- end }}

{{/* The ports of the URLs that traces are sent to, as a list in JSON. */}}
{{- define "ordermesh.service.tracingPorts" -}}
{{- $ports := list -}}
{{- $tracing := .Values.global.tracing -}}
{{- range $exporter := splitList "," $tracing.exporters -}}
{{- with get $tracing $exporter }}{{ $ports = append $ports (include "ordermesh.service.portOf" . | int) }}{{ end -}}
{{- end -}}
{{ $ports | uniq | toJson }}
{{- end }}

{{/* The ports where issuers and their keys are, as a list in JSON. */}}
{{- define "ordermesh.service.issuerPorts" -}}
{{- $ports := list -}}
{{- if .Values.global.credentials.issuers }}{{ range .Values.global.network.issuerPorts }}{{ $ports = append $ports (int .) }}{{ end }}{{ end -}}
{{- range .Values.global.credentials.issuers -}}
{{- $ports = append $ports (include "ordermesh.service.portOf" (.keys | default .issuer) | int) -}}
{{- end -}}
{{ $ports | uniq | toJson }}
{{- end }}

{{/* To connectors, where they are named. Takes root and names. */}}
{{- define "ordermesh.service.toConnectors" -}}
{{- range .names -}}
{{- with get $.root.Values.global.connectors . -}}
{{- if .address }}
{{ include "ordermesh.service.wayOut" (dict "peers" .peers "ports" (list (regexFind "[0-9]+$" .address))) }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The connectors that a program calls, in JSON. */}}
{{- define "ordermesh.service.connectorsOf" -}}
{{- get (dict "payments" (list "gateway") "shipping" (list "carrier" "warehouse")) (include "ordermesh.service.program" .) | default list | toJson -}}
{{- end }}
