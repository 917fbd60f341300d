variable "enabled" {
  description = "Whether any of it exists; false makes nothing, and takes away what was there."
  type        = bool
  default     = true
  nullable    = false
}

variable "name" {
  description = "What the names of all that is made begin with."
  type        = string
  default     = "sdp"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$", var.name))
    error_message = "name ${jsonencode(var.name)} is no beginning of a name in Kubernetes: it begins with a lower case letter, goes on with lower case letters, digits and hyphens, does not end with a hyphen, and has at most 40 characters."
  }
}

variable "namespace" {
  description = "The namespace of what Prometheus and Grafana read."
  type        = string
  default     = "monitoring"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace ${jsonencode(var.namespace)} is no name of a namespace: lower case letters, digits and hyphens, at most 63."
  }
}

variable "labels" {
  description = "More labels of what is made, such as the one by which the Prometheus operator chooses: `{ release = \"kube-prometheus-stack\" }`."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key, value in var.labels : can(regex("^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$", key)) && can(regex("^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$", value))])
    error_message = "No labels of Kubernetes: ${join(", ", [for key, value in var.labels : "${key}=${value}" if !(can(regex("^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$", key)) && can(regex("^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$", value)))])}. Letters, digits, -, _ and ., at most 63."
  }
}

variable "flink_namespaces" {
  description = "Where Flink runs. Its pods are scraped by their port `metrics`, but for those of `flink/session-cluster` and `flink/standalone-job`, which bring a ServiceMonitor of their own."
  type        = list(string)
  default     = ["flink"]
  nullable    = false

  validation {
    condition     = alltrue([for name in var.flink_namespaces : can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", name))])
    error_message = "Not names of namespaces: ${join(", ", [for name in var.flink_namespaces : jsonencode(name) if !can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", name))])}."
  }
}

variable "connect_namespaces" {
  description = "Where Kafka Connect runs. Each gets a ConfigMap `NAME-connect-metrics` for its KafkaConnect's `metricsConfig`."
  type        = list(string)
  default     = ["kafka"]
  nullable    = false

  validation {
    condition     = alltrue([for name in var.connect_namespaces : can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", name))])
    error_message = "Not names of namespaces: ${join(", ", [for name in var.connect_namespaces : jsonencode(name) if !can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", name))])}."
  }
}

variable "operator_namespace" {
  description = "Where the Flink Kubernetes Operator runs, so that its pods are scraped by their port `metrics`; the alert `FlinkJobFailed` is of its metrics. Without it, they are not scraped."
  type        = string
  default     = null

  validation {
    condition     = var.operator_namespace == null || can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.operator_namespace))
    error_message = "operator_namespace ${try(jsonencode(var.operator_namespace), "")} is no name of a namespace: lower case letters, digits and hyphens, at most 63."
  }
}

variable "scrape_interval" {
  description = "How often pods are asked."
  type        = string
  default     = "30s"
  nullable    = false

  validation {
    condition     = can(regex("^[1-9][0-9]*(s|m)$", var.scrape_interval))
    error_message = "scrape_interval ${jsonencode(var.scrape_interval)} is no duration of Prometheus: write a whole number and s or m, such as 30s."
  }
}

variable "jobs" {
  description = "Flink jobs that have to run, by namespace: an alert tells when one is gone. Leave out those that are suspended on purpose."
  type        = map(list(string))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue(flatten([for names in values(var.jobs) : [for name in names : can(regex("^[A-Za-z0-9][A-Za-z0-9._ -]{0,127}$", name))]]))
    error_message = "Not names of jobs: ${join(", ", flatten([for names in values(var.jobs) : [for name in names : jsonencode(name) if !can(regex("^[A-Za-z0-9][A-Za-z0-9._ -]{0,127}$", name))]]))}."
  }
}

variable "checkpoint_ages" {
  description = "Seconds since the last checkpoint for jobs whose checkpoints are further apart than `checkpoint_age` of `thresholds` allows, by namespace and name: `{ flink = { nightly = 7200 } }`."
  type        = map(map(number))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue(flatten([for ages in values(var.checkpoint_ages) : [for name, age in ages : can(regex("^[A-Za-z0-9][A-Za-z0-9._ -]{0,127}$", name)) && try(age >= 1, false)]]))
    error_message = "checkpoint_ages: not names of jobs with at least 1 second: ${join(", ", flatten([for ages in values(var.checkpoint_ages) : [for name, age in ages : jsonencode(name) if !(can(regex("^[A-Za-z0-9][A-Za-z0-9._ -]{0,127}$", name)) && try(age >= 1, false))]]))}."
  }
}

variable "connectors" {
  description = "Connectors that have to be there, by namespace: an alert tells when one is gone."
  type        = map(list(string))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue(flatten([for names in values(var.connectors) : [for name in names : can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", name))]]))
    error_message = "Not names of connectors: ${join(", ", flatten([for names in values(var.connectors) : [for name in names : jsonencode(name) if !can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", name))]]))}."
  }
}

variable "thresholds" {
  description = "When alerts fire. `not_running_for`: a job or connector that does not run. `window`: within which `restarts`, `failed_checkpoints` and `failed_records` are counted. `checkpoint_age`: seconds since the last checkpoint, of jobs that are not in `checkpoint_ages`. `lag`: records that are not read yet and become more, for `lag_for`. `back_pressure`: share of the time, for `back_pressure_for`. `watermark_behind`: seconds that the watermark is behind the clock; null for no alert."
  type = object({
    not_running_for    = optional(string, "5m")
    window             = optional(string, "15m")
    restarts           = optional(number, 3)
    failed_checkpoints = optional(number, 3)
    failed_records     = optional(number, 1)
    checkpoint_age     = optional(number, 1800)
    lag                = optional(number, 10000)
    lag_for            = optional(string, "15m")
    back_pressure      = optional(number, 0.8)
    back_pressure_for  = optional(string, "15m")
    watermark_behind   = optional(number)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for value in [var.thresholds.not_running_for, var.thresholds.window, var.thresholds.lag_for, var.thresholds.back_pressure_for] : can(regex("^[1-9][0-9]*(s|m|h|d)$", value))])
    error_message = "thresholds: not_running_for, window, lag_for and back_pressure_for are durations of Prometheus, a whole number and s, m, h or d: not ${join(", ", [for value in [var.thresholds.not_running_for, var.thresholds.window, var.thresholds.lag_for, var.thresholds.back_pressure_for] : jsonencode(value) if !can(regex("^[1-9][0-9]*(s|m|h|d)$", value))])}."
  }

  validation {
    condition     = alltrue([for value in [var.thresholds.restarts, var.thresholds.failed_checkpoints, var.thresholds.failed_records, var.thresholds.checkpoint_age, coalesce(var.thresholds.watermark_behind, 1)] : value >= 1]) && var.thresholds.lag >= 0
    error_message = "thresholds: restarts, failed_checkpoints, failed_records, checkpoint_age and watermark_behind are at least 1, and lag at least 0."
  }

  validation {
    condition     = var.thresholds.back_pressure > 0 && var.thresholds.back_pressure < 1
    error_message = "thresholds: back_pressure ${var.thresholds.back_pressure} is a share of the time, between 0 and 1."
  }
}

variable "alert_labels" {
  description = "More labels of alerts, by which Alertmanager finds who is told: `{ team = \"risk\" }`."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.alert_labels) : can(regex("^[a-zA-Z_][a-zA-Z0-9_]*$", key)) && !contains(["alertname", "severity", "namespace", "job_name", "connector"], key)])
    error_message = "Not labels for an alert: ${join(", ", [for key in keys(var.alert_labels) : key if !can(regex("^[a-zA-Z_][a-zA-Z0-9_]*$", key)) || contains(["alertname", "severity", "namespace", "job_name", "connector"], key)])}. Letters, digits and _, and none of alertname, severity, namespace, job_name and connector."
  }
}

variable "dashboard_labels" {
  description = "The labels by which Grafana's sidecar finds dashboards."
  type        = map(string)
  default     = { grafana_dashboard = "1" }
  nullable    = false
}

variable "dashboard_folder" {
  description = "Grafana's folder for the dashboards, as the sidecar's annotation `grafana_folder`; null for its default."
  type        = string
  default     = "SDP"
}
