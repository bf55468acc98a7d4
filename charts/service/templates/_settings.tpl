{{/*
What holds for the pods of a service, as JSON: what `global.pods` says, and what the service says by the same names. Maps are joined key by key and lists
end to end, where what the service says replaces what is common by the same name; of anything else the service's counts, unless it is empty.
*/}}
{{- define "ordermesh.service.settings" -}}
{{- $settings := dict -}}
{{- range $name, $common := .Values.global.pods -}}
{{- $own := index $.Values $name -}}
{{- $joined := $own | default $common -}}
{{- if kindIs "map" $common -}}
{{- $joined = dict -}}
{{- range $key, $value := $common }}{{ $_ := set $joined $key $value }}{{ end -}}
{{- range $key, $value := $own }}{{ $_ := set $joined $key $value }}{{ end -}}
{{- else if kindIs "slice" $common -}}
{{- $key := eq $name "extraVolumeMounts" | ternary "mountPath" "name" -}}
{{- $said := list -}}
{{- range $own }}{{ if hasKey . $key }}{{ $said = append $said (get . $key) }}{{ end }}{{ end -}}
{{- $joined = list -}}
{{- range $common }}{{ if not (has (get . $key) $said) }}{{ $joined = append $joined . }}{{ end }}{{ end -}}
{{- $joined = concat $joined ($own | default list) | default list -}}
{{- end -}}
{{- $_ := set $settings $name $joined -}}
{{- end -}}
{{ $settings | toJson }}
{{- end }}

{{/* The registry's credentials, each once, whether they are said as names or as a pod has them. */}}
{{- define "ordermesh.service.pullSecrets" -}}
{{- $secrets := list -}}
{{- range concat .Values.global.imagePullSecrets (.Values.imagePullSecrets | default list) -}}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with uniq $secrets -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end }}

{{/* A list with what the chart adds to it, in YAML; an entry that the chart makes cannot be said anew. Takes root, name (of the value), key, own and extra. */}}
{{- define "ordermesh.service.extended" -}}
{{- $made := list -}}
{{- range .own }}{{ $made = append $made (get . $.key) }}{{ end -}}
{{- range .extra -}}
{{- if and (hasKey . $.key) (has (get . $.key) $made) -}}
{{- fail (printf "%s: %s cannot say %s, which the chart does" (include "ordermesh.service.called" $.root) $.name (get . $.key)) -}}
{{- end -}}
{{- end -}}
{{- with concat .own .extra }}{{ toYaml . }}{{ end -}}
{{- end }}
