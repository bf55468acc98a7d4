{{/*
Makes of a map what helpers of the chart "service" take for something that is the umbrella's own, as if that were a service: it is called `name`, and its
pods run where and as those of orders do, unless `own`, its values, says otherwise. Takes root, name, own and the map, as job.
*/}}
{{- define "ordermesh.job" -}}
{{- $orders := .root.Values.orders -}}
{{- $values := dict "global" .root.Values.global "commonLabels" dict "commonAnnotations" dict -}}
{{- $alike := list "image" "imagePullSecrets" "user" "nodeSelector" "tolerations" "affinity" "priorityClassName" "runtimeClassName" -}}
{{- range concat $alike (list "hostAliases" "dnsPolicy" "dnsConfig") }}{{ $_ := set $values . (index $orders .) }}{{ end -}}
{{- range $name, $value := omit .own "image" }}{{ if $value }}{{ $_ := set $values $name $value }}{{ end }}{{ end -}}
{{- $path := printf "%s/charts/%s/templates" (trimSuffix "/templates" .root.Template.BasePath) .name -}}
{{- $_ := set .job "Template" (dict "BasePath" $path) -}}
{{- $_ := set .job "Values" $values -}}
{{- $_ := set .job "Release" .root.Release -}}
{{- $_ := set .job "Chart" .root.Chart -}}
{{- end }}

{{/* `host:port` of all pods of a service. Takes root, which is what "ordermesh.job" made, service and port. */}}
{{- define "ordermesh.address" -}}
{{ printf "dns:///%s:%d" (include "ordermesh.service.named" (dict "root" .root "service" .service "suffix" "headless")) (int .port) }}
{{- end }}

{{/* `<SERVICE>_DATABASE_URL`: the connection of the role that may only read. Takes root, job, service, and its values of database. */}}
{{- define "ordermesh.readerConnection" -}}
{{- $global := .root.Values.global.database -}}
{{- $variable := printf "%s_DATABASE" (upper .service) -}}
{{- if $global.host -}}
{{- $parameters := list -}}
{{- with $global.parameters }}{{ $parameters = append $parameters . }}{{ end -}}
{{- if $global.caSecret }}{{ $parameters = append $parameters "sslrootcert=/etc/ordermesh/database/ca.crt" }}{{ end -}}
{{- $reader := dict "root" .job "service" .service "suffix" "database-reader" -}}
{{- $secret := .database.readerSecret | default (include "ordermesh.service.named" $reader) -}}
{{- $at := printf "%s:%s/%s" $global.host (include "ordermesh.service.text" $global.port) (.database.name | default .service) -}}
{{ include "ordermesh.service.fromSecret" (dict "variable" (printf "%s_USERNAME" $variable) "secret" $secret "key" "username") }}
{{ include "ordermesh.service.fromSecret" (dict "variable" (printf "%s_PASSWORD" $variable) "secret" $secret "key" "password") }}
- name: {{ $variable }}_URL
  value: {{ printf "postgres://$(%s_USERNAME):$(%s_PASSWORD)@%s%s" $variable $variable $at (empty $parameters | ternary "" (printf "?%s" (join "&" $parameters))) | quote }}
{{- else -}}
{{- $secret := .root.Values.books.secret | default (include "ordermesh.service.fullname" .job) -}}
{{ include "ordermesh.service.fromSecret" (dict "variable" (printf "%s_URL" $variable) "secret" $secret "key" (printf "%s-database-url" .service)) }}
{{- end -}}
{{- end }}

{{/*
What a service calls of the world outside, besides others, in JSON: nothing where connectors are named, which are no services of the mesh. Takes root and caller.
*/}}
{{- define "ordermesh.connectorCalls" -}}
{{- $connectors := .root.Values.global.connectors -}}
{{- $simulated := .root.Values.simulators.enabled -}}
{{- $calls := list -}}
{{- if and (eq .caller "payments") (not $connectors.gateway.address) -}}
{{- if not $simulated }}{{ fail "say by which connector payments reaches the card gateway (global.connectors.gateway.address), or, where nobody pays, that it is simulated (simulators.enabled): docs/connectors.md" }}{{ end -}}
{{- $calls = append $calls (dict "service" "simulators" "variable" "GATEWAY_CONNECTOR_ADDRESS") -}}
{{- end -}}
{{- if and (eq .caller "shipping") (not $connectors.carrier.address) -}}
{{- if not $simulated }}{{ fail "say by which connector shipping reaches the carrier (global.connectors.carrier.address), or, where nothing is sent, that it is simulated (simulators.enabled): docs/connectors.md" }}{{ end -}}
{{- $calls = append $calls (dict "service" "simulators" "variable" "CARRIER_CONNECTOR_ADDRESS") -}}
{{- end -}}
{{- if and (eq .caller "shipping") $simulated (not $connectors.warehouse.address) -}}
{{- $calls = append $calls (dict "service" "simulators" "variable" "WAREHOUSE_CONNECTOR_ADDRESS") -}}
{{- end -}}
{{ $calls | toJson }}
{{- end }}
