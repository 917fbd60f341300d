# Values come from standalone-job and session-cluster, which check them.

variable "enabled" {
  description = "Whether it exists."
  type        = bool
}

variable "name" {
  description = "The deployment's name."
  type        = string
}

variable "namespace" {
  description = "Its namespace."
  type        = string
}

variable "label" {
  description = "The label that holds its name beside Kubernetes' own."
  type        = string
}

variable "flink_image" {
  description = "The image."
  type        = string
}

variable "flink_version" {
  description = "Flink's version, as the operator names it."
  type        = string
}

variable "image_pull_policy" {
  description = "When the image is pulled."
  type        = string
}

variable "image_pull_secrets" {
  description = "What it is pulled with."
  type        = list(string)
}

variable "service_account" {
  description = "The pods' service account."
  type        = string
}

variable "tm_resource" {
  description = "What a TaskManager is given."
  type        = object({ cpu = number, memory = string })
}

variable "jm_resource" {
  description = "What the JobManager is given."
  type        = object({ cpu = number, memory = string })
}

variable "task_slots" {
  description = "Task slots of a TaskManager."
  type        = number
}

variable "checkpoint_config" {
  description = "How and where state is saved."
  type        = object({ interval = string, timeout = string, s3_path = string })
}

variable "high_availability" {
  description = "Whether the JobManager's metadata are kept."
  type        = bool
}

variable "flink_configuration" {
  description = "More of Flink's configuration."
  type        = map(string)
}

variable "secret_env" {
  description = "Environment variables from secrets."
  type        = map(object({ secret = string, key = string }))
}

variable "secret_files" {
  description = "Directories from secrets."
  type        = map(object({ secret = string, path = string }))
}

variable "ingress" {
  description = "Where the UI is reached."
  type        = object({ host = string, class_name = string, tls_secret = string, annotations = map(string) })
}

variable "monitoring" {
  description = "Whether Prometheus gets the metrics."
  type        = bool
}

variable "log_configuration" {
  description = "Files of the logging's configuration."
  type        = map(string)
}

variable "labels" {
  description = "More labels."
  type        = map(string)
}

variable "restart_nonce" {
  description = "Another number restarts it."
  type        = number
}

variable "job" {
  description = "The job by the operator's names; null for a session cluster."
  type        = any
  default     = null
}
