{{- define "carillon.name" -}}
{{ .Release.Name | replace "." "-" | trunc 50 | trimSuffix "-" }}
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
{{- /* A cluster that is there does not wait any more: it may have been scaled down. */ -}}
{{- if and .Release.IsInstall (lt (int .Values.replicas) (int .Values.expect)) }}
{{- fail "replicas is below expect: a new cluster would wait for nodes that never come" }}
{{- end }}
{{- if not (regexMatch "^[a-z]" .Release.Name) }}
{{- fail (printf "the release's name '%s' has to begin with a letter: it is that of a Service" .Release.Name) }}
{{- end }}
{{- with .Values.secret }}
{{- if and .existing (or .password .previousPassword .clusterSecret .adminToken) }}
{{- fail "secret.existing is used as it is: its values are not the chart's to set; change that Secret itself" }}
{{- end }}
{{- end }}
{{- if and .Values.spread.zonesMin (ne .Values.spread.zones "DoNotSchedule") }}
{{- fail "spread.zonesMin means something only with spread.zones: DoNotSchedule" }}
{{- end }}
{{- if regexMatch ":[^/]*$" .Values.image.repository }}
{{- fail "image.repository has a tag or a digest; say it as image.tag or image.digest" }}
{{- end }}
{{- end }}
