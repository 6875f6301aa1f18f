{{/* The image, by digest where there is one. */}}
{{- define "facteur.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* What the pods read as /config/config.yaml. */}}
{{- define "facteur.config" -}}
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

