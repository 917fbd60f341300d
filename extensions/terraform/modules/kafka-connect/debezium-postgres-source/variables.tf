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

variable "host" {
  description = "The database server's host name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$", var.host))
    error_message = "host ${jsonencode(var.host)} is no host name."
  }
}

variable "port" {
  description = "Its port."
  type        = number
  default     = 5432
  nullable    = false

  validation {
    condition     = var.port >= 1 && floor(var.port) == var.port && var.port <= 65535
    error_message = "port ${var.port} is not a whole number from 1 to 65535."
  }
}

variable "database" {
  description = "The database, one for a connector."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[^\\s'\"\\\\]{1,63}$", var.database))
    error_message = "database ${jsonencode(var.database)} is no name of a database."
  }
}

variable "user" {
  description = "The database user, who may replicate; a name or a reference."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^(\\$\\{(secrets|configmaps|env|file|dir):[^{}]+\\}|[^\\s$'\"]{1,63})$", var.user))
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

variable "ssl_mode" {
  description = "How the connection is encrypted."
  type        = string
  default     = "require"
  nullable    = false

  validation {
    condition     = contains(["disable", "allow", "prefer", "require", "verify-ca", "verify-full"], var.ssl_mode)
    error_message = "ssl_mode ${jsonencode(var.ssl_mode)} is none of disable, allow, prefer, require, verify-ca and verify-full."
  }
}

variable "tables" {
  description = "The tables that are read, as `SCHEMA.TABLE`."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.tables) > 0 && alltrue([for table in var.tables : can(regex("^[A-Za-z0-9_$]{1,63}\\.[A-Za-z0-9_$]{1,63}$", table))])
    error_message = "tables: ${length(var.tables) == 0 ? "none is given" : join(", ", [for table in var.tables : jsonencode(table) if !can(regex("^[A-Za-z0-9_$]{1,63}\\.[A-Za-z0-9_$]{1,63}$", table))])}. Write each as SCHEMA.TABLE, such as public.orders; another pattern goes into task_config as table.include.list."
  }
}

variable "topic_prefix" {
  description = "What topics are called: `TOPIC_PREFIX.SCHEMA.TABLE`. Another prefix makes the connector begin anew."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{1,150}$", var.topic_prefix))
    error_message = "topic_prefix ${jsonencode(var.topic_prefix)} is no beginning of a topic's name: letters, digits, ., _ and -."
  }
}

variable "slot_name" {
  description = "The replication slot, one for a connector; without it, the connector's name with _ for - and dots."
  type        = string
  default     = null

  validation {
    condition     = var.slot_name == null || can(regex("^[a-z0-9_]{1,63}$", var.slot_name))
    error_message = "slot_name ${try(jsonencode(var.slot_name), "")} is no name of a replication slot: lower case letters, digits and _, at most 63."
  }
}

variable "publication" {
  description = "The publication; without it, the slot's name."
  type        = string
  default     = null

  validation {
    condition     = var.publication == null || can(regex("^[a-z0-9_]{1,63}$", var.publication))
    error_message = "publication ${try(jsonencode(var.publication), "")} is no name of a publication: lower case letters, digits and _, at most 63."
  }
}

variable "publication_mode" {
  description = "What the connector does about the publication: makes it for its `tables` (filtered), for all tables, without any, or expects it to be there (disabled)."
  type        = string
  default     = "filtered"
  nullable    = false

  validation {
    condition     = contains(["filtered", "all_tables", "no_tables", "disabled"], var.publication_mode)
    error_message = "publication_mode ${jsonencode(var.publication_mode)} is none of filtered, all_tables, no_tables and disabled."
  }
}

variable "snapshot_mode" {
  description = "What is read before the changes: the tables as they are, once (initial), each time it starts (always), and nothing more (initial_only), nothing (no_data), or what is missing (when_needed)."
  type        = string
  default     = "initial"
  nullable    = false

  validation {
    condition     = contains(["initial", "always", "initial_only", "no_data", "when_needed"], var.snapshot_mode)
    error_message = "snapshot_mode ${jsonencode(var.snapshot_mode)} is none of initial, always, initial_only, no_data and when_needed."
  }
}

variable "heartbeat_interval_ms" {
  description = "Milliseconds between heartbeats, which let the database free its log while the tables are quiet; 0 for none."
  type        = number
  default     = 10000
  nullable    = false

  validation {
    condition     = var.heartbeat_interval_ms >= 0 && floor(var.heartbeat_interval_ms) == var.heartbeat_interval_ms
    error_message = "heartbeat_interval_ms ${var.heartbeat_interval_ms} is not a whole number of at least 0."
  }
}

variable "decimals" {
  description = "How numeric columns are written: `string` keeps all digits and is JSON that Flink reads, `precise` is Connect's Decimal, `double` loses digits."
  type        = string
  default     = "string"
  nullable    = false

  validation {
    condition     = contains(["string", "precise", "double"], var.decimals)
    error_message = "decimals ${jsonencode(var.decimals)} is none of string, precise and double."
  }
}

variable "unwrap" {
  description = "Whether records hold the new row alone in place of Debezium's envelope with before and after; deletions are then tombstones."
  type        = bool
  default     = false
  nullable    = false
}

variable "format" {
  description = "How records are written in Kafka: `json` (without a schema in each record), `avro` (Confluent's wire format), or `worker`, as the KafkaConnect says."
  type        = string
  default     = "json"
  nullable    = false

  validation {
    condition     = contains(["json", "avro", "worker"], var.format)
    error_message = "format ${jsonencode(var.format)} is none of json, avro and worker."
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

variable "task_config" {
  description = "More of the connector's configuration, which goes before what the module makes of its other arguments. Secrets are references that Kafka Connect's config providers resolve in its pods, such as `$${secrets:NAMESPACE/SECRET:KEY}`, `$${env:NAME}` or `$${dir:/DIRECTORY:FILE}`; in Terraform, `$$` stands for `$`."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key, value in var.task_config : value != null && !contains(["name", "connector.class", "tasks.max", "connector.plugin.version", "database.hostname", "database.port", "database.dbname", "database.user", "database.password", "topic.prefix", "plugin.name"], key)])
    error_message = "task_config holds what the module sets of its other arguments, or no value: ${join(", ", [for key, value in var.task_config : key if value == null || contains(["name", "connector.class", "tasks.max", "connector.plugin.version", "database.hostname", "database.port", "database.dbname", "database.user", "database.password", "topic.prefix", "plugin.name"], key)])}."
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
