{{/* A certificate of cert-manager, for both ends, in the secret <name>-tls. Takes root, name, component and account. */}}
{{- define "ordermesh.service.certificate" -}}
{{- $tls := .root.Values.global.tls -}}
{{- $root := .root -}}
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  {{- include "ordermesh.service.metadata" . | nindent 2 }}
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
  # Exactly one: whoever reads it takes no certificate with more.
  uris: [{{ include "ordermesh.service.spiffeId" . | quote }}]
  issuerRef:
    name: {{ $tls.issuer.name | quote }}
    kind: {{ $tls.issuer.kind | quote }}
    group: {{ $tls.issuer.group | quote }}
{{- end }}
