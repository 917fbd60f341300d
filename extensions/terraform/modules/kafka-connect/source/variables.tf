variable "enabled" {
  description = "Whether the connector exists at all; false makes nothing, and takes away what was there."
  type        = bool
  default     = true
  nullable    = false
}

variable "name" {
  description = "The connector's name in Kubernetes and in Kafka Connect."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", var.name)) && !can(regex("\\.[.-]|-\\.", var.name))
    error_message = "name ${jsonencode(var.name)} is no name that Kubernetes takes: lower case letters, digits, hyphens and dots, a letter or digit at both ends and beside each dot, at most 253 characters."
  }
}

variable "namespace" {
  description = "The namespace of the KafkaConnect."
  type        = string
  default     = "kafka"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace ${jsonencode(var.namespace)} is no name of a namespace: lower case letters, digits and hyphens, at most 63."
  }
}

variable "cluster" {
  description = "The name of the KafkaConnect that runs the connector, in the same namespace; it has the annotation `strimzi.io/use-connector-resources: \"true\"`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$", var.cluster))
    error_message = "cluster ${jsonencode(var.cluster)} is no name of a KafkaConnect: lower case letters, digits, hyphens and dots, at most 63."
  }
}

variable "class" {
  description = "The connector's class, whose plugin is in the KafkaConnect's image, such as `io.debezium.connector.postgresql.PostgresConnector`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([A-Za-z_$][A-Za-z0-9_$]*\\.)*[A-Za-z_$][A-Za-z0-9_$]*$", var.class))
    error_message = "class ${jsonencode(var.class)} is no name of a Java class."
  }
}

variable "topics" {
  description = "The topics that the connector writes, for the jobs that read them: `module.NAME.topics`. Which these are is said by `task_config` in each connector's own words."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for topic in var.topics : can(regex("^[A-Za-z0-9._-]{1,249}$", topic)) && !contains([".", ".."], topic)])
    error_message = "Not names of topics: ${join(", ", [for topic in var.topics : jsonencode(topic) if !(can(regex("^[A-Za-z0-9._-]{1,249}$", topic)) && !contains([".", ".."], topic))])}. Letters, digits, ., _ and -, at most 249."
  }
}

variable "tasks_max" {
  description = "How many tasks share the work at most; many sources take one only."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.tasks_max >= 1 && floor(var.tasks_max) == var.tasks_max
    error_message = "tasks_max ${var.tasks_max} is not a whole number of at least 1."
  }
}

variable "task_config" {
  description = "The connector's own configuration. Secrets are references that Kafka Connect's config providers resolve in its pods, such as `$${secrets:NAMESPACE/SECRET:KEY}`, `$${env:NAME}` or `$${dir:/DIRECTORY:FILE}`; in Terraform, `$$` stands for `$`."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key, value in var.task_config : value != null && !contains(["name", "connector.class", "tasks.max", "connector.plugin.version"], key)])
    error_message = "task_config holds what the module sets of its other arguments, or no value: ${join(", ", [for key, value in var.task_config : key if value == null || contains(["name", "connector.class", "tasks.max", "connector.plugin.version"], key)])}."
  }

  validation {
    condition = alltrue([
      for key, value in var.task_config : value == null || can(regex("^\\$\\{(secrets|configmaps|env|file|dir):[^{}]+\\}$", value)) || (endswith(key, ".jaas.config") && can(regex("\\$\\{(secrets|env|file|dir):[^{}]+\\}", value)))
      if can(regex("(?i)password|passphrase|secret|token|credential|\\.jaas\\.config$|(api|access|account|private)[._-]?key", key)) && !can(regex("(?i)[.-](url|source|file|location|path|provider)$", key))
    ])
    error_message = "task_config holds a secret in clear text: ${join(", ", [
      for key, value in var.task_config : key
      if can(regex("(?i)password|passphrase|secret|token|credential|\\.jaas\\.config$|(api|access|account|private)[._-]?key", key)) && !can(regex("(?i)[.-](url|source|file|location|path|provider)$", key)) && !(value == null || can(regex("^\\$\\{(secrets|configmaps|env|file|dir):[^{}]+\\}$", value)) || (endswith(key, ".jaas.config") && can(regex("\\$\\{(secrets|env|file|dir):[^{}]+\\}", value))))
    ])}. Write a reference that Kafka Connect resolves, such as $$${secrets:NAMESPACE/SECRET:KEY}, which in Terraform begins with two $."
  }

  validation {
    condition     = !anytrue([for value in values(var.task_config) : can(regex("(?i)(password|passwd|pwd|secret|token|access[._-]?key)=[\"']?[^$\"'&;\\s]|://[^/@:\\s]*:[^$/@\\s][^/@\\s]*@", value)) if value != null])
    error_message = "task_config holds a secret within a value: ${join(", ", [for key, value in var.task_config : key if value != null && can(regex("(?i)(password|passwd|pwd|secret|token|access[._-]?key)=[\"']?[^$\"'&;\\s]|://[^/@:\\s]*:[^$/@\\s][^/@\\s]*@", value))])}. Give user and password keys of their own, or write a reference in place of the secret."
  }
}

variable "state" {
  description = "`running`, `paused` (the tasks stay) or `stopped` (the tasks end; offsets can be changed)."
  type        = string
  default     = "running"
  nullable    = false

  validation {
    condition     = contains(["running", "paused", "stopped"], var.state)
    error_message = "state ${jsonencode(var.state)} is none of running, paused and stopped."
  }
}

variable "auto_restart" {
  description = "Whether the operator restarts a failed connector and its tasks, and how often at most; without `max_restarts`, with growing pauses for ever."
  type = object({
    enabled      = optional(bool, true)
    max_restarts = optional(number)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.auto_restart.max_restarts == null || try(var.auto_restart.max_restarts >= 0 && floor(var.auto_restart.max_restarts) == var.auto_restart.max_restarts, false)
    error_message = "auto_restart: max_restarts is not a whole number."
  }
}

variable "plugin_version" {
  description = "The version of the connector's plugin, or a range such as `[3.5,4)`, where the image has several; from Kafka Connect 4.1 on."
  type        = string
  default     = null

  validation {
    condition     = var.plugin_version == null || can(regex("^([0-9A-Za-z][0-9A-Za-z._+-]*|[\\[(][0-9A-Za-z._+-]*(,[0-9A-Za-z._+-]*)?[\\])])$", var.plugin_version))
    error_message = "plugin_version ${try(jsonencode(var.plugin_version), "")} is neither a version nor a range of versions such as [3.5,4)."
  }
}

variable "labels" {
  description = "More labels of what is made."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key, value in var.labels : can(regex("^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$", key)) && can(regex("^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$", value))])
    error_message = "No labels of Kubernetes: ${join(", ", [for key, value in var.labels : "${key}=${value}" if !(can(regex("^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$", key)) && can(regex("^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$", value)))])}. Letters, digits, -, _ and ., at most 63."
  }
}
