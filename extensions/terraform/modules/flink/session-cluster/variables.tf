variable "enabled" {
  description = "Whether the cluster exists at all; false makes nothing, and takes away what was there once its jobs are gone: while session jobs are there, the operator keeps it."
  type        = bool
  default     = true
  nullable    = false
}

variable "name" {
  description = "The session cluster's name: what jobs call `session_cluster`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,43}[a-z0-9])?$", var.name))
    error_message = "name ${jsonencode(var.name)} is no name that Kubernetes takes: it begins with a lower case letter, goes on with lower case letters, digits and hyphens, does not end with a hyphen, and has at most 45 characters."
  }
}

variable "namespace" {
  description = "The namespace, which the Flink operator watches."
  type        = string
  default     = "flink"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace ${jsonencode(var.namespace)} is no name of a namespace: lower case letters, digits and hyphens, at most 63."
  }
}

variable "flink_image" {
  description = "The image: Flink with the connectors and formats in `lib`. For SQL, `opt` holds exactly one `flink-sql-gateway` jar, as Flink's own image has it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][A-Za-z0-9._:/@-]*$", var.flink_image))
    error_message = "flink_image ${jsonencode(var.flink_image)} is no image, such as registry.example.com/team/flink:2.3.0."
  }
}

variable "flink_version" {
  description = "The image's version of Flink, as the operator names it. Operator 1.15 takes none above `v2_2`; `v2_3` needs 1.16 or later."
  type        = string
  default     = "v2_3"
  nullable    = false

  validation {
    condition     = contains(["v1_20", "v2_0", "v2_1", "v2_2", "v2_3"], var.flink_version)
    error_message = "flink_version ${jsonencode(var.flink_version)} is none of v1_20, v2_0, v2_1, v2_2 and, from operator 1.16 on, v2_3."
  }
}

variable "image_pull_policy" {
  description = "When the image is pulled: `Always`, `IfNotPresent` or `Never`."
  type        = string
  default     = null

  validation {
    condition     = var.image_pull_policy == null || contains(["Always", "IfNotPresent", "Never"], coalesce(var.image_pull_policy, "-"))
    error_message = "image_pull_policy ${try(jsonencode(var.image_pull_policy), "")} is none of Always, IfNotPresent and Never."
  }
}

variable "image_pull_secrets" {
  description = "Names of the secrets that the image is pulled with."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "service_account" {
  description = "The pods' service account; the operator's Helm chart makes `flink`."
  type        = string
  default     = "flink"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", var.service_account))
    error_message = "service_account ${jsonencode(var.service_account)} is no name of a service account: lower case letters, digits, hyphens and dots."
  }
}

variable "tm_resource" {
  description = "What a TaskManager is given: `cpu` in cores, `memory` such as `2g` or `2048m`."
  type = object({
    cpu    = optional(number, 1)
    memory = optional(string, "2g")
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.tm_resource.cpu > 0 && can(regex("(?i)^[1-9][0-9]*\\s?(k|m|g|t)(i?b?)$", var.tm_resource.memory))
    error_message = "tm_resource { cpu = ${var.tm_resource.cpu}, memory = ${jsonencode(var.tm_resource.memory)} }: cpu is a number of cores above 0, memory a whole number with k, m, g or t, such as 2g or 2048m."
  }
}

variable "jm_resource" {
  description = "What a JobManager is given: `cpu` in cores, `memory` such as `2g` or `2048m`."
  type = object({
    cpu    = optional(number, 1)
    memory = optional(string, "1600m")
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.jm_resource.cpu > 0 && can(regex("(?i)^[1-9][0-9]*\\s?(k|m|g|t)(i?b?)$", var.jm_resource.memory))
    error_message = "jm_resource { cpu = ${var.jm_resource.cpu}, memory = ${jsonencode(var.jm_resource.memory)} }: cpu is a number of cores above 0, memory a whole number with k, m, g or t, such as 2g or 2048m."
  }
}

variable "task_slots" {
  description = "Task slots of a TaskManager; TaskManagers come and go with the jobs."
  type        = number
  default     = 4
  nullable    = false

  validation {
    condition     = var.task_slots >= 1 && var.task_slots <= 1024 && floor(var.task_slots) == var.task_slots
    error_message = "task_slots ${var.task_slots} is not a whole number from 1 to 1024."
  }
}

variable "checkpoint_config" {
  description = "How often state is saved, how long that may take, and under which URI: checkpoints go to `S3_PATH/NAME/checkpoints`, savepoints to `S3_PATH/NAME/savepoints`. A job's own goes before it."
  type = object({
    interval = optional(string, "1 min")
    timeout  = optional(string)
    s3_path  = optional(string)
  })
  default = null

  validation {
    condition     = alltrue([for value in try([var.checkpoint_config.interval, var.checkpoint_config.timeout], []) : value == null || can(regex("^[1-9][0-9]* ?(ms|s|sec|secs|seconds?|m|min|minutes?|h|hours?|d|days?)$", value))])
    error_message = "checkpoint_config: ${join(" and ", [for name, value in try({ interval = var.checkpoint_config.interval, timeout = var.checkpoint_config.timeout }, {}) : "${name} ${jsonencode(value)}" if value != null && !can(regex("^[1-9][0-9]* ?(ms|s|sec|secs|seconds?|m|min|minutes?|h|hours?|d|days?)$", value))])} is no duration: write a whole number and ms, s, min, h or d, such as 30 s."
  }

  validation {
    condition     = try(var.checkpoint_config.s3_path, null) == null || can(regex("^(s3|s3a|s3p|gs|abfss?|wasbs?|oss|hdfs|file)://\\S+$", var.checkpoint_config.s3_path))
    error_message = "checkpoint_config: s3_path ${try(jsonencode(var.checkpoint_config.s3_path), "")} is no URI of a file system that Flink writes to, such as s3://bucket/flink."
  }
}

variable "high_availability" {
  description = "Whether the JobManager's metadata are kept in Kubernetes and under `checkpoint_config.s3_path`, so that a JobManager that is lost, or restarted, goes on with its jobs; without a value, where `checkpoint_config.s3_path` is set."
  type        = bool
  default     = null
}

variable "flink_configuration" {
  description = "More of Flink's configuration; it goes before what the module makes of its other arguments."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = !anytrue([for key in keys(var.flink_configuration) : contains(["kubernetes.namespace", "kubernetes.cluster-id", "high-availability.cluster-id"], key)])
    error_message = "flink_configuration holds kubernetes.namespace, kubernetes.cluster-id or high-availability.cluster-id, which the operator sets itself and refuses."
  }

  validation {
    condition     = alltrue([for key in keys(var.flink_configuration) : !(can(regex("(?i)password|passphrase|secret|credential|token$|http[._-]headers?$|(api|access|account|private)[._-]?key", key)) && !can(regex("(?i)[.-](url|source|file|location|path|provider|enabled)$|^kubernetes\\.(secrets|env\\.secretkeyref|container\\.image\\.pull-secrets)$", key)))])
    error_message = "flink_configuration holds a secret in clear text: ${join(", ", [for key in keys(var.flink_configuration) : key if can(regex("(?i)password|passphrase|secret|credential|token$|http[._-]headers?$|(api|access|account|private)[._-]?key", key)) && !can(regex("(?i)[.-](url|source|file|location|path|provider|enabled)$|^kubernetes\\.(secrets|env\\.secretkeyref|container\\.image\\.pull-secrets)$", key))])}. Leave it to the pods' identity (service_account), or to secret_env and secret_files of the cluster."
  }
}

variable "secret_env" {
  description = "Environment variables of all pods, each from a key of a Kubernetes secret: what `env:NAME` in `kafka` refers to."
  type = map(object({
    secret = string
    key    = string
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name, from in var.secret_env : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name)) && can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", from.secret)) && can(regex("^[A-Za-z0-9._-]{1,253}$", from.key))])
    error_message = "secret_env: ${join(", ", [for name, from in var.secret_env : name if !(can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name)) && can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", from.secret)) && can(regex("^[A-Za-z0-9._-]{1,253}$", from.key)))])}: write NAME = { secret = \"name-of-the-secret\", key = \"its.key\" }, NAME of letters, digits and _."
  }
}

variable "secret_files" {
  description = "Kubernetes secrets as directories of all pods, by a name of their own: each key is a file, which `file:PATH/KEY` in `kafka` refers to."
  type = map(object({
    secret = string
    path   = string
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name, from in var.secret_files : can(regex("^[a-z0-9]([a-z0-9-]{0,56}[a-z0-9])?$", name)) && can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", from.secret)) && can(regex("^(/[A-Za-z0-9._-]+)+$", from.path))])
    error_message = "secret_files: ${join(", ", [for name, from in var.secret_files : name if !(can(regex("^[a-z0-9]([a-z0-9-]{0,56}[a-z0-9])?$", name)) && can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", from.secret)) && can(regex("^(/[A-Za-z0-9._-]+)+$", from.path)))])}: write name = { secret = \"name-of-the-secret\", path = \"/absolute/directory\" }, the name of lower case letters, digits and hyphens."
  }

  validation {
    condition     = length(distinct([for from in values(var.secret_files) : from.path])) == length(var.secret_files)
    error_message = "secret_files: two secrets have the same path."
  }
}

variable "ingress" {
  description = "Where Flink's UI is reached from outside; null makes no Ingress. Flink's UI asks for no password: let the annotations of your ingress controller do so."
  type = object({
    host        = string
    class_name  = optional(string)
    tls_secret  = optional(string)
    annotations = optional(map(string), {})
  })
  default = null

  validation {
    condition     = var.ingress == null || can(regex("^(\\*\\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", var.ingress.host))
    error_message = "ingress: host ${try(jsonencode(var.ingress.host), "")} is no host name, such as orders.flink.example.com (without https:// and a path)."
  }
}

variable "monitoring" {
  description = "Whether Prometheus gets the metrics: a reporter on port 9249, a Service of that port, and a ServiceMonitor, whose definition is in the cluster where the Prometheus operator is."
  type        = bool
  default     = true
  nullable    = false
}

variable "log_configuration" {
  description = "Files of the logging's configuration by name: `log4j-console.properties`, `logback-console.xml`."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.log_configuration) : contains(["log4j-console.properties", "logback-console.xml"], name)])
    error_message = "log_configuration: ${join(", ", [for name in keys(var.log_configuration) : name if !contains(["log4j-console.properties", "logback-console.xml"], name)])} is neither log4j-console.properties nor logback-console.xml."
  }
}

variable "labels" {
  description = "More labels of what is made, but for the pods, which a label would restart."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key, value in var.labels : can(regex("^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$", key)) && can(regex("^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$", value))])
    error_message = "No labels of Kubernetes: ${join(", ", [for key, value in var.labels : "${key}=${value}" if !(can(regex("^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$", key)) && can(regex("^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$", value)))])}. Letters, digits, -, _ and ., at most 63."
  }
}

variable "restart_nonce" {
  description = "Another number restarts the cluster."
  type        = number
  default     = null

  validation {
    condition     = var.restart_nonce == null || try(floor(var.restart_nonce) == var.restart_nonce, false)
    error_message = "restart_nonce is not a whole number."
  }
}
