{{- /*
What: combinations of values that cannot work.
Why: `helm install` says so at once, and not a pod that restarts for ever.
Invariant: each message names the value and the fix. What concerns settings alone the program checks at its start.
*/ -}}
{{- define "zeptodb.validate" -}}
{{- $config := .Values.config -}}
{{- if not $config.brokers -}}
{{- fail "config.brokers is required, such as --set 'config.brokers={kafka:9092}'" -}}
{{- end -}}
{{- if not $config.group -}}
{{- fail "config.group is required, such as --set config.group=ticks" -}}
{{- end -}}
{{- if not (or $config.topics $config.tables) -}}
{{- fail "config.topics is required, such as --set config.topics.trades=ticks, unless config.tables declares tables" -}}
{{- end -}}
{{- if and .Values.auth.enabled (not .Values.auth.existingSecret) -}}
{{- fail "auth.existingSecret is required: a Secret whose key `api-keys` is a file of API keys (docs/http.md); auth.enabled=false lets everybody in" -}}
{{- end -}}
{{- if not .Values.persistence.enabled -}}
{{- if index $config "hdb-dir" -}}
{{- fail "config.hdb-dir: use persistence.enabled=true, which mounts a volume there; without one local files end with the pod" -}}
{{- end -}}
{{- if eq (index $config "commit-after" | default "auto") "local" -}}
{{- fail "config.commit-after local needs persistence.enabled=true: offsets would move although the files end with the pod" -}}
{{- end -}}
{{- if eq (index $config "storage-mode" | default "") "disk" -}}
{{- fail "config.storage-mode disk needs persistence.enabled=true" -}}
{{- end -}}
{{- if and (index $config "cold-tier-enabled") (has (index $config "cold-tier-format") (list "both" "binary")) -}}
{{- fail (printf "config.cold-tier-format %s writes local files: it needs persistence.enabled=true" (index $config "cold-tier-format")) -}}
{{- end -}}
{{- end -}}
{{- if le (.Values.shutdown.gracePeriodSeconds | int) (.Values.shutdown.preStopSleepSeconds | int) -}}
{{- fail "shutdown.gracePeriodSeconds must exceed shutdown.preStopSleepSeconds: what is left is the time to seal what is in memory" -}}
{{- end -}}
{{- if .Values.autoscaling.enabled -}}
{{- if gt (.Values.autoscaling.minReplicas | int) (.Values.autoscaling.maxReplicas | int) -}}
{{- fail "autoscaling.minReplicas exceeds autoscaling.maxReplicas" -}}
{{- end -}}
{{- if not (or .Values.autoscaling.targetCPUUtilizationPercentage .Values.autoscaling.targetTicksPerSecond) -}}
{{- fail "autoscaling.enabled needs autoscaling.targetCPUUtilizationPercentage or autoscaling.targetTicksPerSecond" -}}
{{- end -}}
{{- end -}}
{{- end -}}
