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

variable "bucket" {
  description = "The bucket."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket ${jsonencode(var.bucket)} is no name of a bucket: lower case letters, digits, hyphens and dots, 3 to 63."
  }
}

variable "region" {
  description = "The bucket's region, such as `eu-central-1`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]+(-[a-z0-9]+)*$", var.region))
    error_message = "region ${jsonencode(var.region)} is no name of a region, such as eu-central-1."
  }
}

variable "endpoint" {
  description = "The address of a store other than Amazon's."
  type        = string
  default     = null

  validation {
    condition     = var.endpoint == null || can(regex("^https?://[^\\s@]+$", var.endpoint))
    error_message = "endpoint ${try(jsonencode(var.endpoint), "")} is no http address without a user in it."
  }
}

variable "prefix" {
  description = "What object names begin with, such as `raw/`."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9!_.*'()/={}: -]*$", var.prefix))
    error_message = "prefix ${jsonencode(var.prefix)} holds what object names should not."
  }
}

variable "file_name" {
  description = "An object's name after the prefix, with its extension, as a template: either an object for each batch of a partition, of `{{topic}}`, `{{partition}}`, `{{start_offset}}` and, if wanted, `{{timestamp:unit=yyyy}}` (MM, dd, HH) and `{{key}}`; or an object for each key, with its newest record, of `{{key}}` and, if wanted, `{{topic}}` and `{{partition}}`. Without it, `TOPIC/YYYY-MM-DD/PARTITION-OFFSET` with the extension of `output` and `compression`, such as `.jsonl.gz`."
  type        = string
  default     = null

  validation {
    condition     = (length(setsubtract(["topic", "partition", "start_offset"], [for found in regexall("\\{\\{\\s*(\\w+)(?::\\w+=\\w+)?\\s*\\}\\}", coalesce(var.file_name, "{{key}}")) : found[0]])) == 0 && length(setsubtract([for found in regexall("\\{\\{\\s*(\\w+)(?::\\w+=\\w+)?\\s*\\}\\}", coalesce(var.file_name, "{{key}}")) : found[0]], ["topic", "partition", "start_offset", "timestamp", "key"])) == 0) || (contains([for found in regexall("\\{\\{\\s*(\\w+)(?::\\w+=\\w+)?\\s*\\}\\}", coalesce(var.file_name, "{{key}}")) : found[0]], "key") && length(setsubtract([for found in regexall("\\{\\{\\s*(\\w+)(?::\\w+=\\w+)?\\s*\\}\\}", coalesce(var.file_name, "{{key}}")) : found[0]], ["key", "topic", "partition"])) == 0)
    error_message = "file_name ${try(jsonencode(var.file_name), "")} has variables that the connector does not take together: {{topic}}, {{partition}} and {{start_offset}}, all three, with {{timestamp:unit=UNIT}} and {{key}} or without; or {{key}}, with {{topic}} and {{partition}} or without."
  }

  validation {
    condition     = !can(regex("\\{\\{|\\}\\}", replace(coalesce(var.file_name, "{{key}}"), "/\\{\\{\\s*((topic|key)|(partition|start_offset)(:padding=(true|false))?|timestamp:unit=(yyyy|MM|dd|HH))\\s*\\}\\}/", "")))
    error_message = "file_name ${try(jsonencode(var.file_name), "")} is no template that the connector can read: {{topic}}, {{key}}, {{partition}} and {{start_offset}}, both also with :padding=true, and {{timestamp:unit=UNIT}} with yyyy, MM, dd or HH."
  }
}

variable "output" {
  description = "An object's format; parquet and avro need the format avro in Kafka. CSV holds values as they are in Kafka, and keys in Base64."
  type        = string
  default     = "jsonl"
  nullable    = false

  validation {
    condition     = contains(["jsonl", "json", "csv", "avro", "parquet"], var.output)
    error_message = "output ${jsonencode(var.output)} is none of jsonl, json, csv, avro and parquet."
  }
}

variable "compression" {
  description = "How objects are compressed; parquet compresses within its columns."
  type        = string
  default     = "gzip"
  nullable    = false

  validation {
    condition     = contains(["gzip", "none", "snappy", "zstd"], var.compression)
    error_message = "compression ${jsonencode(var.compression)} is none of gzip, none, snappy and zstd."
  }
}

variable "fields" {
  description = "What is written of a record: value, key, offset, timestamp, headers."
  type        = list(string)
  default     = ["value"]
  nullable    = false

  validation {
    condition     = length(var.fields) > 0 && alltrue([for field in var.fields : contains(["value", "key", "offset", "timestamp", "headers"], field)])
    error_message = "fields ${jsonencode(var.fields)}: one or more of value, key, offset, timestamp and headers."
  }
}

variable "access_key_id" {
  description = "The access key's id; without it, the pods' own identity holds: a reference that Kafka Connect resolves, such as `$${secrets:NAMESPACE/SECRET:KEY}`."
  type        = string
  default     = null

  validation {
    condition     = var.access_key_id == null || can(regex("^\\$\\{(secrets|configmaps|env|file|dir):[^{}]+\\}$", var.access_key_id))
    error_message = "access_key_id is no reference to a secret. Write one that Kafka Connect resolves, such as $$${secrets:NAMESPACE/SECRET:KEY}, which in Terraform begins with two $."
  }
}

variable "secret_access_key" {
  description = "The secret access key: a reference that Kafka Connect resolves, such as `$${secrets:NAMESPACE/SECRET:KEY}`."
  type        = string
  default     = null

  validation {
    condition     = var.secret_access_key == null || can(regex("^\\$\\{(secrets|configmaps|env|file|dir):[^{}]+\\}$", var.secret_access_key))
    error_message = "secret_access_key is no reference to a secret. Write one that Kafka Connect resolves, such as $$${secrets:NAMESPACE/SECRET:KEY}, which in Terraform begins with two $."
  }
}

variable "role_arn" {
  description = "A role that the connector assumes in place of keys."
  type        = string
  default     = null

  validation {
    condition     = var.role_arn == null || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/\\S+$", var.role_arn))
    error_message = "role_arn ${try(jsonencode(var.role_arn), "")} is no ARN of a role."
  }
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
    condition     = alltrue([for key, value in var.task_config : value != null && !contains(["name", "connector.class", "tasks.max", "connector.plugin.version", "topics", "topics.regex", "aws.access.key.id", "aws.secret.access.key", "aws.s3.bucket.name"], key)])
    error_message = "task_config holds what the module sets of its other arguments, or no value: ${join(", ", [for key, value in var.task_config : key if value == null || contains(["name", "connector.class", "tasks.max", "connector.plugin.version", "topics", "topics.regex", "aws.access.key.id", "aws.secret.access.key", "aws.s3.bucket.name"], key)])}."
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
