{{/*
Labels or annotations: those of the chart; and those that are wanted of everything, of what is the service's, and more, of which the last counts. Nobody says
anew what the chart says, since things are found by it. Takes root, kind (`Labels` or `Annotations`), own, and more as a map from a value's name to its map.
*/}}
{{- define "ordermesh.service.joined" -}}
{{- $joined := dict -}}
{{- $common := printf "common%s" .kind -}}
{{- $wanted := list (dict (printf "global.%s" $common) (index .root.Values.global $common)) (dict $common (index .root.Values $common)) -}}
{{- range append $wanted (.more | default dict) -}}
{{- range $source, $map := . -}}
{{- range $key, $value := $map -}}
{{- if hasKey $.own $key -}}
{{- fail (printf "%s: %s cannot say %s, which the chart does" (include "ordermesh.service.called" $.root) $source $key) -}}
{{- end -}}
{{- $_ := set $joined $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ toYaml (merge $joined .own) }}
{{- end }}

{{/*
What a thing is called, with labels and annotations. Takes root, name and component; also labels and annotations of its own, as maps, and moreLabels and
moreAnnotations, which values want: maps by the values' names.
*/}}
{{- define "ordermesh.service.metadata" -}}
{{- $own := include "ordermesh.service.podSelector" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/part-of" "ordermesh" -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimAll "-_.") -}}
{{- $labels := dict "root" .root "kind" "Labels" "own" (merge $own (.labels | default dict)) "more" .moreLabels -}}
{{- $annotations := dict "root" .root "kind" "Annotations" "own" (.annotations | default dict) "more" .moreAnnotations -}}
name: {{ .name | quote }}
labels:
  {{- include "ordermesh.service.joined" $labels | nindent 2 }}
{{- with include "ordermesh.service.joined" $annotations | fromYaml }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The same for pods: no label that changes with the chart alone. Takes root, settings and component; also labels and annotations as maps. */}}
{{- define "ordermesh.service.podMetadata" -}}
{{- $own := include "ordermesh.service.podSelector" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/part-of" "ordermesh" -}}
{{- $labels := dict "root" .root "kind" "Labels" "own" (merge $own (.labels | default dict)) "more" (dict "podLabels" .settings.podLabels) -}}
{{- $more := dict "podAnnotations" .settings.podAnnotations -}}
{{- $annotations := dict "root" .root "kind" "Annotations" "own" (.annotations | default dict) "more" $more -}}
labels:
  {{- include "ordermesh.service.joined" $labels | nindent 2 }}
{{- with include "ordermesh.service.joined" $annotations | fromYaml }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
