{{/* The image, by digest where there is one. */}}
{{- define "facteur.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/*
A configuration that sends workflows where facteur has no Role, or under an account that the policy denies, would install well and
then refuse every run.
*/}}
{{- define "facteur.checkPlaces" -}}
{{- $config := .Values.config -}}
{{- $targets := dict "argo" (get $config "argo") -}}
{{- $codex := get $config "codex_implementation_orchestrator" | default dict -}}
{{- if eq (toString $codex.enabled) "true" -}}
{{- $_ := set $targets "codex_implementation_orchestrator" $codex -}}
{{- end -}}
{{- range $name, $command := get $config "commands" | default dict -}}
{{- $_ := set $targets (printf "commands.%s" $name) $command -}}
{{- end -}}
{{- $named := get $config "commands_from_templates" | default dict -}}
{{- range $key, $value := dict "namespaces" "workflows.namespaces" "service_accounts" "workflows.serviceAccounts" -}}
{{- $names := get $named $key | default list -}}
{{- range kindIs "string" $names | ternary (splitList "," (toString $names)) $names -}}
{{- include "facteur.checkPlace" (dict "root" $ "path" "commands_from_templates" "key" $key "name" . "in" $value) -}}
{{- end -}}
{{- end -}}
{{- range $path, $target := $targets -}}
{{- if kindIs "map" $target -}}
{{- range $key := list "namespace" "autonomous_namespace" -}}
{{- include "facteur.checkPlace" (dict "root" $ "path" $path "key" $key "name" (get $target $key) "in" "workflows.namespaces") -}}
{{- end -}}
{{- range $key := list "service_account" "autonomous_service_account" -}}
{{- include "facteur.checkPlace" (dict "root" $ "path" $path "key" $key "name" (get $target $key) "in" "workflows.serviceAccounts") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* One of them: .name at .path and .key of the configuration has to be in the value that .in names, unless a variable overrides it. */}}
{{- define "facteur.checkPlace" -}}
{{- $name := .name | default "" | toString | trim -}}
{{- $variable := printf "FACTEUR_%s_%s" .path .key | replace "." "_" | upper -}}
{{- range .root.Values.extraEnv -}}
{{- if eq .name $variable -}}
{{- $name = "" -}}
{{- end -}}
{{- end -}}
{{- $isAccount := eq .in "workflows.serviceAccounts" -}}
{{- $allowed := $isAccount | ternary .root.Values.workflows.serviceAccounts .root.Values.workflows.namespaces -}}
{{- if and $name (not (has $name $allowed)) (or .root.Values.admissionPolicy.enabled (not $isAccount)) -}}
{{- $advice := hasPrefix "codex" .path | ternary (printf "set config.%s.enabled to false if there are no Codex tasks" .path) "add it, or name another" -}}
{{- fail (printf "config.%s.%s: %s is not in %s: %s" .path .key $name .in $advice) -}}
{{- end -}}
{{- end }}

{{/* Helm reads numbers as floating-point numbers: an id of Discord without quotes would become another one. */}}
{{- define "facteur.checkNumbers" -}}
{{- $path := .path -}}
{{- if kindIs "map" .value -}}
{{- range $key, $value := .value -}}
{{- include "facteur.checkNumbers" (dict "path" (printf "%s.%s" $path $key) "value" $value) -}}
{{- end -}}
{{- else if kindIs "slice" .value -}}
{{- range .value -}}
{{- include "facteur.checkNumbers" (dict "path" $path "value" .) -}}
{{- end -}}
{{- else if and (or (kindIs "float64" .value) (kindIs "int64" .value)) (gt (float64 .value) 9007199254740991.0) -}}
{{- fail (printf "%s: put the number in quotes; without them Helm rounds it" $path) -}}
{{- end -}}
{{- end }}

{{/* What the pods read as /config/config.yaml. */}}
{{- define "facteur.config" -}}
{{- include "facteur.checkNumbers" (dict "path" "config" "value" .Values.config) -}}
{{- include "facteur.checkPlaces" . -}}
{{- $public := dict "public_url" (printf "http://%s-api.%s.svc.cluster.local" .Values.name .Release.Namespace) -}}
{{- toYaml (mergeOverwrite (dict "server" $public) .Values.config) -}}
{{- end }}

{{/* The OTEL_* variables. What is scraped is exported as the values say, too. */}}
{{- define "facteur.telemetry" -}}
{{- $variables := mergeOverwrite (dict "OTEL_SERVICE_NAMESPACE" .Release.Namespace) .Values.telemetry -}}
{{- if .Values.serviceMonitor.enabled -}}
{{- $exporters := without (splitList "," ($variables.OTEL_METRICS_EXPORTER | default "none" | nospace)) "none" -}}
{{- $_ := set $variables "OTEL_METRICS_EXPORTER" (append $exporters "prometheus" | uniq | join ",") -}}
{{- end -}}
{{- toYaml $variables -}}
{{- end }}

{{/* A change of the configuration restarts the pods. */}}
{{- define "facteur.checksum" -}}
checksum/config: {{ printf "%s%s" (include "facteur.config" .) (include "facteur.telemetry" .) | sha256sum }}
{{- end }}

