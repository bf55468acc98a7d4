{{/*
An image's full name. Takes root and image; what is empty comes from the service's image, then from the common one. A registry for all images takes the
place of the one in the name: of its first part, if that is a host.
*/}}
{{- define "ordermesh.service.image" -}}
{{- $common := .root.Values.global.image -}}
{{- $own := .root.Values.image -}}
{{- $repository := .image.repository | default $own.repository | default $common.repository -}}
{{- with .root.Values.global.imageRegistry -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "") -}}
{{- end -}}
{{- $digest := .image.digest -}}
{{- $tag := .image.tag -}}
{{- if not (or $digest $tag) }}{{ $digest = $own.digest }}{{ $tag = $own.tag }}{{ end -}}
{{- if not (or $digest $tag) }}{{ $digest = $common.digest }}{{ $tag = $common.tag }}{{ end -}}
{{- if $digest -}}
{{ $repository }}@{{ $digest }}
{{- else -}}
{{ $repository }}:{{ $tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}
