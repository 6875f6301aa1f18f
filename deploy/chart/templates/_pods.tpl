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

{{/* The OTEL_* variables. */}}
{{- define "facteur.telemetry" -}}
{{- $prometheus := ternary (dict "OTEL_METRICS_EXPORTER" "prometheus") dict .Values.serviceMonitor.enabled -}}
{{- toYaml (mergeOverwrite (dict "OTEL_SERVICE_NAMESPACE" .Release.Namespace) .Values.telemetry $prometheus) -}}
{{- end }}

{{/* A change of the configuration restarts the pods. */}}
{{- define "facteur.checksum" -}}
checksum/config: {{ printf "%s%s" (include "facteur.config" .) (include "facteur.telemetry" .) | sha256sum }}
{{- end }}

