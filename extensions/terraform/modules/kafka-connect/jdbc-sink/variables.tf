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

variable "topics" {
  description = "The topics that the connector reads."
  type        = list(string)
  nullable    = false

  validation {
    condition     = alltrue([for topic in var.topics : can(regex("^[A-Za-z0-9._-]{1,249}$", topic)) && !contains([".", ".."], topic)])
    error_message = "Not names of topics: ${join(", ", [for topic in var.topics : jsonencode(topic) if !(can(regex("^[A-Za-z0-9._-]{1,249}$", topic)) && !contains([".", ".."], topic))])}. Letters, digits, ., _ and -, at most 249."
  }
}

variable "dead_letter_topic" {
  description = "The topic for records that cannot be converted or transformed, with the reason in their headers. Without it, the first such record fails its task."
  type        = string
  default     = null

  validation {
    condition     = var.dead_letter_topic == null || alltrue([for topic in compact([var.dead_letter_topic]) : can(regex("^[A-Za-z0-9._-]{1,249}$", topic)) && !contains([".", ".."], topic)])
    error_message = "dead_letter_topic ${try(jsonencode(var.dead_letter_topic), "")} is no name of a topic: letters, digits, ., _ and -, at most 249."
  }
}

variable "connection_url" {
  description = "The database, such as `jdbc:postgresql://HOST:5432/DATABASE`; without user and password."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^jdbc:[a-z0-9]+:\\S+$", var.connection_url))
    error_message = "connection_url ${jsonencode(var.connection_url)} is no address of JDBC, such as jdbc:postgresql://HOST:5432/DATABASE."
  }

  validation {
    condition     = !can(regex("(?i)(password|passwd|pwd)=|://[^/@]*:[^/@]*@", var.connection_url))
    error_message = "connection_url holds a password: give user and password as arguments of their own."
  }
}

variable "user" {
  description = "The database user; a name or a reference."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^(\\$\\{(secrets|configmaps|env|file|dir):[^{}]+\\}|[^\\s$'\"]{1,128})$", var.user))
    error_message = "user ${jsonencode(var.user)} is neither the name of a user nor a reference such as $$${secrets:NAMESPACE/SECRET:KEY}."
  }
}

variable "password" {
  description = "The user's password: a reference that Kafka Connect resolves, such as `$${secrets:NAMESPACE/SECRET:KEY}`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^\\$\\{(secrets|configmaps|env|file|dir):[^{}]+\\}$", var.password))
    error_message = "password is no reference to a secret. Write one that Kafka Connect resolves, such as $$${secrets:NAMESPACE/SECRET:KEY}, which in Terraform begins with two $."
  }
}

variable "table" {
  description = "The table that records are written to; `$${topic}` stands for the topic with _ for dots."
  type        = string
  default     = "$${topic}"
  nullable    = false

  validation {
    condition     = can(regex("^(\\$\\{topic\\}|\\$\\{source\\.[a-z]+\\}|[A-Za-z0-9_.$-])+$", var.table))
    error_message = "table ${jsonencode(var.table)} is no name of a table: letters, digits, _ and ., and $$${topic}, which in Terraform begins with two $."
  }
}

variable "insert_mode" {
  description = "`upsert` writes each key's newest row, so that a repeated record does no harm; `insert` only adds, `update` only changes."
  type        = string
  default     = "upsert"
  nullable    = false

  validation {
    condition     = contains(["upsert", "insert", "update"], var.insert_mode)
    error_message = "insert_mode ${jsonencode(var.insert_mode)} is none of upsert, insert and update."
  }
}

variable "key_mode" {
  description = "Where the key's columns come from: the record's key, its value, its headers, Kafka's coordinates (kafka), or there is none."
  type        = string
  default     = "record_key"
  nullable    = false

  validation {
    condition     = contains(["record_key", "record_value", "record_header", "kafka", "none"], var.key_mode)
    error_message = "key_mode ${jsonencode(var.key_mode)} is none of record_key, record_value, record_header, kafka and none."
  }
}

variable "key_fields" {
  description = "The fields of the record's key or value that are the table's key; empty for all fields of the key."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for field in var.key_fields : can(regex("^[^,\\s]+$", field))])
    error_message = "key_fields: a name is empty, or holds a comma or a space."
  }
}

variable "delete" {
  description = "Whether a tombstone deletes its row; it needs the key mode record_key."
  type        = bool
  default     = false
  nullable    = false
}

variable "schema_evolution" {
  description = "Whether the connector makes tables and adds columns (basic), or takes them as they are (none)."
  type        = string
  default     = "none"
  nullable    = false

  validation {
    condition     = contains(["none", "basic"], var.schema_evolution)
    error_message = "schema_evolution ${jsonencode(var.schema_evolution)} is none of none and basic."
  }
}

variable "batch_size" {
  description = "Records that are written at once."
  type        = number
  default     = 500
  nullable    = false

  validation {
    condition     = var.batch_size >= 1 && floor(var.batch_size) == var.batch_size
    error_message = "batch_size ${var.batch_size} is not a whole number of at least 1."
  }
}

variable "format" {
  description = "How records are written in Kafka: `avro` (Confluent's wire format), `json_schema` (JSON with a schema in each record), or `worker`, as the KafkaConnect says. The connector needs the types of fields, which JSON alone does not have."
  type        = string
  default     = "avro"
  nullable    = false

  validation {
    condition     = contains(["avro", "json_schema", "worker"], var.format)
    error_message = "format ${jsonencode(var.format)} is none of avro, json_schema and worker."
  }
}

variable "schema_registry_url" {
  description = "The schema registry's address, which the format avro needs."
  type        = string
  default     = null

  validation {
    condition     = var.schema_registry_url == null || can(regex("^https?://[^\\s@]+$", var.schema_registry_url))
    error_message = "schema_registry_url ${try(jsonencode(var.schema_registry_url), "")} is no http address without a user in it."
  }
}

variable "tasks_max" {
  description = "How many tasks share the work at most; more than the topics' partitions idle."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.tasks_max >= 1 && floor(var.tasks_max) == var.tasks_max
    error_message = "tasks_max ${var.tasks_max} is not a whole number of at least 1."
  }
}

variable "task_config" {
  description = "More of the connector's configuration, which goes before what the module makes of its other arguments. Secrets are references that Kafka Connect's config providers resolve in its pods, such as `$${secrets:NAMESPACE/SECRET:KEY}`, `$${env:NAME}` or `$${dir:/DIRECTORY:FILE}`; in Terraform, `$$` stands for `$`."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key, value in var.task_config : value != null && !contains(["name", "connector.class", "tasks.max", "connector.plugin.version", "topics", "topics.regex", "connection.url", "connection.username", "connection.password"], key)])
    error_message = "task_config holds what the module sets of its other arguments, or no value: ${join(", ", [for key, value in var.task_config : key if value == null || contains(["name", "connector.class", "tasks.max", "connector.plugin.version", "topics", "topics.regex", "connection.url", "connection.username", "connection.password"], key)])}."
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
