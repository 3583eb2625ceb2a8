{{- /*
What: the program's config file: what `config` says, and what follows from the chart's other values.
Why: a port, a path or a switch that two places could set would one day be set to two things.
Invariant: every key is a setting of the program; a key that the chart sets is refused in `config`.
*/ -}}
{{- define "zeptodb.settings" -}}
{{- $set := dict "port" 8123 "bind" .Values.http.bind -}}
{{- $from := dict "port" "service.port" "bind" "http.bind" -}}
{{- $secrets := "/etc/zeptodb/secrets" -}}
{{- if .Values.persistence.enabled -}}
{{- $_ := set $set "hdb-dir" .Values.persistence.mountPath -}}
{{- $_ := set $from "hdb-dir" "persistence.mountPath" -}}
{{- end -}}
{{- if .Values.auth.enabled -}}
{{- $_ := set $set "api-keys-file" (printf "%s/api-keys" $secrets) -}}
{{- $_ := set $from "api-keys-file" "auth.existingSecret" -}}
{{- else -}}
{{- $_ := set $set "no-auth" "twice" -}}
{{- $_ := set $from "no-auth" "auth.enabled" -}}
{{- end -}}
{{- if .Values.http.tlsSecret -}}
{{- $_ := set $set "tls-cert" (printf "%s/http/tls.crt" $secrets) -}}
{{- $_ := set $set "tls-key" (printf "%s/http/tls.key" $secrets) -}}
{{- $_ := set $from "tls-cert" "http.tlsSecret" -}}
{{- $_ := set $from "tls-key" "http.tlsSecret" -}}
{{- else -}}
{{- $_ := set $set "allow-plaintext-http" true -}}
{{- $_ := set $from "allow-plaintext-http" "http.tlsSecret" -}}
{{- end -}}
{{- if .Values.kafka.sasl.existingSecret -}}
{{- $_ := set $set "kafka-sasl-password-file" (printf "%s/kafka/password" $secrets) -}}
{{- $_ := set $from "kafka-sasl-password-file" "kafka.sasl.existingSecret" -}}
{{- end -}}
{{- if .Values.kafka.token.audience -}}
{{- $_ := set $set "kafka-sasl-token-file" (printf "%s/kafka/token" $secrets) -}}
{{- $_ := set $from "kafka-sasl-token-file" "kafka.token.audience" -}}
{{- end -}}
{{- if .Values.kafka.tls.caSecret -}}
{{- $_ := set $set "kafka-tls-ca" (printf "%s/kafka/ca.crt" $secrets) -}}
{{- $_ := set $from "kafka-tls-ca" "kafka.tls.caSecret" -}}
{{- end -}}
{{- if .Values.kafka.tls.clientSecret -}}
{{- $_ := set $set "kafka-tls-cert" (printf "%s/kafka/tls.crt" $secrets) -}}
{{- $_ := set $set "kafka-tls-key" (printf "%s/kafka/tls.key" $secrets) -}}
{{- $_ := set $from "kafka-tls-cert" "kafka.tls.clientSecret" -}}
{{- $_ := set $from "kafka-tls-key" "kafka.tls.clientSecret" -}}
{{- end -}}
{{- if .Values.schemaRegistry.existingSecret -}}
{{- $_ := set $set "schema-registry-password-file" (printf "%s/schema-registry/password" $secrets) -}}
{{- $_ := set $from "schema-registry-password-file" "schemaRegistry.existingSecret" -}}
{{- end -}}
{{- range $key, $value := $set -}}
{{- if hasKey $.Values.config $key -}}
{{- fail (printf "config.%s: the chart sets it; use %s instead" $key (get $from $key)) -}}
{{- end -}}
{{- end -}}
{{- toYaml (merge (dict) .Values.config $set) -}}
{{- end -}}

{{- /* Sources of the projected volume below /etc/zeptodb/secrets; empty when nothing is secret. */ -}}
{{- define "zeptodb.secretSources" -}}
{{- with .Values.auth }}{{ if .enabled }}
- secret:
    name: {{ .existingSecret }}
    items: [{ key: {{ .apiKeysKey | quote }}, path: api-keys }]
{{- end }}{{ end }}
{{- with .Values.http.tlsSecret }}
- secret:
    name: {{ . }}
    items: [{ key: tls.crt, path: http/tls.crt }, { key: tls.key, path: http/tls.key }]
{{- end }}
{{- with .Values.kafka.sasl }}{{ if .existingSecret }}
- secret:
    name: {{ .existingSecret }}
    items: [{ key: {{ .passwordKey | quote }}, path: kafka/password }]
{{- end }}{{ end }}
{{- with .Values.kafka.token }}{{ if .audience }}
- serviceAccountToken:
    path: kafka/token
    audience: {{ .audience | quote }}
    expirationSeconds: {{ .expirationSeconds | int }}
{{- end }}{{ end }}
{{- with .Values.kafka.tls }}{{ if .caSecret }}
- secret:
    name: {{ .caSecret }}
    items: [{ key: {{ .caKey | quote }}, path: kafka/ca.crt }]
{{- end }}{{ if .clientSecret }}
- secret:
    name: {{ .clientSecret }}
    items: [{ key: {{ .certKey | quote }}, path: kafka/tls.crt }, { key: {{ .keyKey | quote }}, path: kafka/tls.key }]
{{- end }}{{ end }}
{{- with .Values.schemaRegistry }}{{ if .existingSecret }}
- secret:
    name: {{ .existingSecret }}
    items: [{ key: {{ .passwordKey | quote }}, path: schema-registry/password }]
{{- end }}{{ end }}
{{- end -}}

{{- define "zeptodb.env" -}}
- { name: ZEPTO_CONFIG, value: /etc/zeptodb/config/zeptodb.yaml }
{{- /* A certificate of http.tlsSecret is not for the addresses of pods. */}}
{{- if not .Values.http.tlsSecret }}
- name: POD_IP
  valueFrom: { fieldRef: { fieldPath: status.podIP } }
- { name: ZEPTO_PEER_ADDRESS, value: {{ if contains ":" .Values.http.bind }}"http://[$(POD_IP)]:8123"{{ else }}"http://$(POD_IP):8123"{{ end }} }
{{- end }}
{{- with .Values.kafka.sasl }}{{ if and .existingSecret .usernameKey }}
{{ include "zeptodb.secretEnv" (list "ZEPTO_KAFKA_SASL_USERNAME" .existingSecret .usernameKey) }}
{{- end }}{{ end }}
{{- with .Values.schemaRegistry }}{{ if and .existingSecret .usernameKey }}
{{ include "zeptodb.secretEnv" (list "ZEPTO_SCHEMA_REGISTRY_USER" .existingSecret .usernameKey) }}
{{- end }}{{ end }}
{{- with .Values.s3 }}{{ if .existingSecret }}
{{ include "zeptodb.secretEnv" (list "AWS_ACCESS_KEY_ID" .existingSecret .accessKeyIdKey) }}
{{ include "zeptodb.secretEnv" (list "AWS_SECRET_ACCESS_KEY" .existingSecret .secretAccessKeyKey) }}
{{- with .sessionTokenKey }}
{{ include "zeptodb.secretEnv" (list "AWS_SESSION_TOKEN" $.Values.s3.existingSecret .) }}
{{- end }}{{ end }}{{ end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* list NAME SECRET KEY */ -}}
{{- define "zeptodb.secretEnv" -}}
- name: {{ index . 0 }}
  valueFrom: { secretKeyRef: { name: {{ index . 1 }}, key: {{ index . 2 | quote }} } }
{{- end -}}
