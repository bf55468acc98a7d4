{{/* A certificate of cert-manager, for both ends, in the secret <name>-tls. Takes root, name and labels. */}}
{{- define "service.certificate" -}}
{{- $tls := .root.Values.global.tls -}}
{{- $root := .root -}}
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: {{ .name }}
  labels:
    {{- .labels | nindent 4 }}
spec:
  secretName: {{ .name }}-tls
  duration: {{ $tls.duration }}
  renewBefore: {{ $tls.renewBefore }}
  privateKey:
    algorithm: ECDSA
    size: 256
    rotationPolicy: Always
  usages: [digital signature, server auth, client auth]
  dnsNames:
    {{- range list .name (printf "%s-headless" .name) (printf "%s-preview" .name) }}
    - {{ . }}
    - {{ . }}.{{ $root.Release.Namespace }}
    - {{ . }}.{{ $root.Release.Namespace }}.svc
    {{- end }}
  issuerRef:
    name: {{ $tls.issuer.name }}
    kind: {{ $tls.issuer.kind }}
    group: {{ $tls.issuer.group }}
{{- end }}
