{{- define "carillon.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "carillon.selector" -}}
app.kubernetes.io/name: carillon
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "carillon.secret" -}}
{{ .Values.secret.existing | default (include "carillon.name" .) }}
{{- end }}

{{- /* What fails at once is better than what fails in the night. */ -}}
{{- define "carillon.check" -}}
{{- if gt (add (mul .Values.preStopSeconds 1000) .Values.drainMs) (sub (mul .Values.terminationGracePeriodSeconds 1000) 5000) }}
{{- fail "terminationGracePeriodSeconds has to be at least 5 s more than preStopSeconds and drainMs together" }}
{{- end }}
{{- if and .Values.tls.issuer.name (not .Values.tls.secret) }}
{{- fail "tls.issuer signs a certificate, and tls.secret has to say where it is put" }}
{{- end }}
{{- if lt (int .Values.replicas) (int .Values.expect) }}
{{- fail "replicas is below expect: a new cluster would wait for nodes that never come" }}
{{- end }}
{{- end }}
