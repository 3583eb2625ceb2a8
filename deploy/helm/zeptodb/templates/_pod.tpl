{{- /*
What: the pod of a member.
Why: StatefulSet and Deployment differ in their volumes, not in what they run.
Invariant: nothing but /tmp and the volume can be written; SIGTERM reaches the program itself.
*/ -}}
{{- define "zeptodb.pod" -}}
metadata:
  # No version of the chart among them, which would start members anew for nothing.
  labels:
    {{- include "zeptodb.selectorLabels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # Members start anew when their settings change.
    checksum/config: {{ include "zeptodb.settings" . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "zeptodb.serviceAccountName" . }}
  automountServiceAccountToken: {{ .Values.serviceAccount.automount }}
  # A Service called zepto would become variables ZEPTO_….
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.shutdown.gracePeriodSeconds | int }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  containers:
    - name: zeptodb
      image: {{ include "zeptodb.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      env:
        {{- include "zeptodb.env" . | nindent 8 }}
      {{- with .Values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - { name: http, containerPort: 8123, protocol: TCP }
      startupProbe:
        httpGet: { path: /health, port: http, scheme: {{ include "zeptodb.scheme" . | upper }} }
        {{- toYaml .Values.probes.startup | nindent 8 }}
      readinessProbe:
        httpGet: { path: /ready, port: http, scheme: {{ include "zeptodb.scheme" . | upper }} }
        {{- toYaml .Values.probes.readiness | nindent 8 }}
      livenessProbe:
        httpGet: { path: /health, port: http, scheme: {{ include "zeptodb.scheme" . | upper }} }
        {{- toYaml .Values.probes.liveness | nindent 8 }}
      {{- with .Values.shutdown.preStopSleepSeconds }}
      lifecycle:
        preStop:
          exec: { command: [sleep, {{ . | int | quote }}] }
      {{- end }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - { name: config, mountPath: /etc/zeptodb/config, readOnly: true }
        {{- if include "zeptodb.secretSources" . | trim }}
        - { name: secrets, mountPath: /etc/zeptodb/secrets, readOnly: true }
        {{- end }}
        - { name: tmp, mountPath: /tmp }
        {{- if .Values.persistence.enabled }}
        - { name: data, mountPath: {{ .Values.persistence.mountPath | quote }} }
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap: { name: {{ include "zeptodb.fullname" . }} }
    {{- with include "zeptodb.secretSources" . | trim }}
    - name: secrets
      projected:
        # Readable to the process through fsGroup.
        defaultMode: 0440
        sources:
          {{- . | nindent 10 }}
    {{- end }}
    - name: tmp
      emptyDir:
        sizeLimit: {{ .Values.tmp.sizeLimit }}
        {{- with .Values.tmp.medium }}
        medium: {{ . }}
        {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    - {{ toYaml . | nindent 6 | trim }}
      {{- if not .labelSelector }}
      labelSelector:
        matchLabels:
          {{- include "zeptodb.selectorLabels" $ | nindent 10 }}
      {{- end }}
    {{- end }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
