{{/* Pod Security "restricted", without a waiver. Takes the settings; `user` is 0 where the cluster chooses one. */}}
{{- define "ordermesh.service.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  {{- with .user }}
  runAsUser: {{ include "ordermesh.service.text" . }}
  runAsGroup: {{ include "ordermesh.service.text" . }}
  fsGroup: {{ include "ordermesh.service.text" . }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{/* The same for a container. Takes the values. */}}
{{- define "ordermesh.service.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: {{ not .development }}
  capabilities:
    drop: [ALL]
{{- end }}
