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
{{- range (get $config "commands_from_templates" | default dict).namespaces -}}
{{- if not (has (toString .) $.Values.workflows.namespaces) -}}
{{- fail (printf "config.commands_from_templates.namespaces: %v is not in workflows.namespaces, so facteur may not read templates there" .) -}}
{{- end -}}
{{- end -}}
{{- range $path, $target := $targets -}}
{{- range $key := list "namespace" "autonomous_namespace" -}}
{{- $namespace := get ($target | default dict) $key -}}
{{- if and $namespace (not (has (toString $namespace) $.Values.workflows.namespaces)) -}}
{{- fail (printf "config.%s.%s: %v is not in workflows.namespaces, so facteur may not create workflows there" $path $key $namespace) -}}
{{- end -}}
{{- end -}}
{{- range $key := list "service_account" "autonomous_service_account" -}}
{{- $account := get ($target | default dict) $key -}}
{{- if and $account $.Values.admissionPolicy.enabled (not (has (toString $account) $.Values.workflows.serviceAccounts)) -}}
{{- fail (printf "config.%s.%s: %v is not in workflows.serviceAccounts, so facteur may not give it to workflows" $path $key $account) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* What the pods read as /config/config.yaml. */}}
{{- define "facteur.config" -}}
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

