{{/* Pod Security "restricted", without a waiver. */}}
{{- define "service.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ include "service.text" .Values.user }}
  runAsGroup: {{ include "service.text" .Values.user }}
  fsGroup: {{ include "service.text" .Values.user }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "service.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: {{ not .Values.development }}
  capabilities:
    drop: [ALL]
{{- end }}
