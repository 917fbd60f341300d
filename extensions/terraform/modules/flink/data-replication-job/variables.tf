variable "enabled" {
  description = "Whether the job exists at all; false makes nothing, and takes away what was there."
  type        = bool
  default     = true
  nullable    = false
}

variable "job_name" {
  description = "The job's name in Kubernetes and in Flink."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.job_name))
    error_message = "job_name ${jsonencode(var.job_name)} is no name that Kubernetes takes: it begins with a lower case letter, goes on with lower case letters, digits and hyphens, does not end with a hyphen, and has at most 63 characters."
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

variable "session_cluster" {
  description = "The name of the session cluster's FlinkDeployment, in the same namespace."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,43}[a-z0-9])?$", var.session_cluster))
    error_message = "session_cluster ${jsonencode(var.session_cluster)} is no name of a FlinkDeployment: it begins with a lower case letter, goes on with lower case letters, digits and hyphens, does not end with a hyphen, and has at most 45 characters."
  }
}

variable "parallelism" {
  description = "How many task slots the job takes."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.parallelism >= 1 && var.parallelism <= 32768 && floor(var.parallelism) == var.parallelism
    error_message = "parallelism ${var.parallelism} is not a whole number from 1 to 32768."
  }
}

variable "state" {
  description = "`running`, or `suspended`: the job is stopped as `upgrade_mode` says and can go on later."
  type        = string
  default     = "running"
  nullable    = false

  validation {
    condition     = contains(["running", "suspended"], var.state)
    error_message = "state ${jsonencode(var.state)} is neither running nor suspended."
  }
}

variable "upgrade_mode" {
  description = "What a changed job begins from: `savepoint` (one is taken), `last-state` (the newest checkpoint) or `stateless` (nothing)."
  type        = string
  default     = "savepoint"
  nullable    = false

  validation {
    condition     = contains(["savepoint", "last-state", "stateless"], var.upgrade_mode)
    error_message = "upgrade_mode ${jsonencode(var.upgrade_mode)} is none of savepoint, last-state and stateless."
  }
}

variable "kafka" {
  description = "The Kafka cluster: client properties by Kafka's names, as in sdp.toml. Secrets are references, `env:NAME` or `file:PATH`, that the task managers read."
  type        = map(string)
  nullable    = false

  validation {
    condition     = alltrue([for properties in [var.kafka] : try(length(properties["bootstrap.servers"]) > 0, false)])
    error_message = "No bootstrap.servers: ${join(", ", [for properties in [var.kafka] : "kafka" if !try(length(properties["bootstrap.servers"]) > 0, false)])}."
  }

  validation {
    condition = alltrue(flatten([for properties in [var.kafka] : [
      for key, value in properties : can(regex("^(?s:(env|file):.)", value))
      if can(regex("(?i)password|passphrase|secret|token|credential|\\.jaas\\.config$|(api|access|account|private)[._-]?key", key)) && !can(regex("(?i)[.-](url|source|file|location|path)$", key))
    ]]))
    error_message = "A literal secret: ${join(", ", flatten([for properties in [var.kafka] : [
      for key, value in properties : "kafka.${key}"
      if can(regex("(?i)password|passphrase|secret|token|credential|\\.jaas\\.config$|(api|access|account|private)[._-]?key", key)) && !can(regex("(?i)[.-](url|source|file|location|path)$", key)) && !can(regex("^(?s:(env|file):.)", value))
    ]]))}. Write env:NAME or file:PATH, which the task managers read: see secret_env and secret_files of the cluster."
  }

  validation {
    condition = alltrue(flatten([for properties in [var.kafka] : [
      for key, value in properties : can(regex("^(?:file:)?(?:/[^/:}]+)+$", value)) && !can(regex("/\\.{1,2}(/|$)", value))
      if can(regex("^(?s:file:.)", value)) || contains(["ssl.certificate.location", "ssl.key.location"], key)
    ]]))
    error_message = "No absolute path in the task managers: ${join(", ", flatten([for properties in [var.kafka] : [
      for key, value in properties : "kafka.${key}"
      if(can(regex("^(?s:file:.)", value)) || contains(["ssl.certificate.location", "ssl.key.location"], key)) && (!can(regex("^(?:file:)?(?:/[^/:}]+)+$", value)) || can(regex("/\\.{1,2}(/|$)", value)))
    ]]))}. Write /directory/name, without //, /./ or /../ in it."
  }
}

variable "topic" {
  description = "The topic that is read; it goes on where it was, and begins at its oldest record."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{1,249}$", var.topic)) && !contains([".", ".."], var.topic)
    error_message = "topic ${jsonencode(var.topic)} is no name of a topic: letters, digits, ., _ and -, at most 249."
  }
}

variable "group_id" {
  description = "The consumer group; without it, the job's name."
  type        = string
  default     = null

  validation {
    condition     = var.group_id == null || can(regex("^[A-Za-z0-9._-]{1,249}$", var.group_id))
    error_message = "group_id ${try(jsonencode(var.group_id), "")} is no name of a consumer group: letters, digits, ., _ and -."
  }
}

variable "format" {
  description = "The records' format, by Flink's name."
  type        = string
  default     = "json"
  nullable    = false

  validation {
    condition     = contains(["json", "csv", "avro", "avro-confluent", "raw"], var.format)
    error_message = "format ${jsonencode(var.format)} is none of json, csv, avro, avro-confluent and raw."
  }
}

variable "format_options" {
  description = "More options of the source table, such as `json.ignore-parse-errors`. With `avro-confluent`, the registry's address comes from `kafka`."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.format_options) : can(regex("^[A-Za-z0-9._-]+$", key))])
    error_message = "format_options: ${join(", ", [for key in keys(var.format_options) : jsonencode(key) if !can(regex("^[A-Za-z0-9._-]+$", key))])} is no name of an option."
  }

  validation {
    condition     = alltrue([for key in keys(var.format_options) : !(can(regex("(?i)password|passphrase|secret|credential|token$|http[._-]headers?$|(api|access|account|private)[._-]?key", key)) && !can(regex("(?i)[.-](url|source|file|location|path|provider|enabled)$|^kubernetes\\.(secrets|env\\.secretkeyref|container\\.image\\.pull-secrets)$", key)))])
    error_message = "format_options holds a secret in clear text: ${join(", ", [for key in keys(var.format_options) : key if can(regex("(?i)password|passphrase|secret|credential|token$|http[._-]headers?$|(api|access|account|private)[._-]?key", key)) && !can(regex("(?i)[.-](url|source|file|location|path|provider|enabled)$|^kubernetes\\.(secrets|env\\.secretkeyref|container\\.image\\.pull-secrets)$", key))])}."
  }
}

variable "columns" {
  description = "The records' fields, by Flink's types; or `columns_file`."
  type = list(object({
    name = string
    type = string
  }))
  default  = []
  nullable = false

  validation {
    condition     = alltrue([for column in var.columns : can(regex("^[^`\\n\\r]{1,255}$", column.name)) && can(regex("^[A-Za-z][A-Za-z0-9_ ,()<>`]*$", column.type))])
    error_message = "columns: ${join(", ", [for column in var.columns : jsonencode(column) if !(can(regex("^[^`\\n\\r]{1,255}$", column.name)) && can(regex("^[A-Za-z][A-Za-z0-9_ ,()<>`]*$", column.type)))])} is no column: a name without backquotes and line breaks, and a type such as BIGINT or ROW<a INT>."
  }

  validation {
    condition     = length(distinct([for column in var.columns : column.name])) == length(var.columns)
    error_message = "columns: two columns have the same name."
  }
}

variable "columns_file" {
  description = "A JSON file with the records' fields, `[{\"name\": …, \"type\": …}]`, in place of `columns`."
  type        = string
  default     = null

  validation {
    condition     = var.columns_file == null || try(fileexists(var.columns_file), false)
    error_message = "columns_file: there is no file ${coalesce(var.columns_file, "-")}. Begin the path with $${path.root} or $${path.module}."
  }

  validation {
    condition     = var.columns_file == null || !try(fileexists(var.columns_file), false) || can([for column in jsondecode(file(var.columns_file)) : [column.name, regex("^[A-Za-z][A-Za-z0-9_ ,()<>`]*$", column.type), regex("^[^`\\n\\r]{1,255}$", column.name)]])
    error_message = "columns_file: ${coalesce(var.columns_file, "-")} is no JSON list of { \"name\": …, \"type\": … }, with names without backquotes and types such as BIGINT or ROW<a INT>."
  }
}

variable "s3_path" {
  description = "Where the files go: a URI of a file system that the cluster has a plug-in for."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^(s3|s3a|s3p|gs|abfss?|wasbs?|oss|hdfs|file)://\\S+$", var.s3_path)) && !can(regex("'", var.s3_path))
    error_message = "s3_path ${jsonencode(var.s3_path)} is no URI of a file system that Flink writes to, such as s3://bucket/raw/orders."
  }
}

variable "file_format" {
  description = "The files' format: `json` or `parquet`."
  type        = string
  default     = "parquet"
  nullable    = false

  validation {
    condition     = contains(["json", "parquet"], var.file_format)
    error_message = "file_format ${jsonencode(var.file_format)} is neither json nor parquet."
  }
}

variable "partition_by" {
  description = "How files are put into directories by time: `hour` (`dt=2026-01-31/hr=07`), `day` (`dt=2026-01-31`) or `none`."
  type        = string
  default     = "hour"
  nullable    = false

  validation {
    condition     = contains(["hour", "day", "none"], var.partition_by)
    error_message = "partition_by ${jsonencode(var.partition_by)} is none of hour, day and none."
  }
}

variable "time_column" {
  description = "The column whose time files are put by, of type TIMESTAMP or TIMESTAMP_LTZ; without it, the record's own time in Kafka."
  type        = string
  default     = null
}

variable "time_zone" {
  description = "The time zone that days and hours are counted in."
  type        = string
  default     = "UTC"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_+:/-]+$", var.time_zone))
    error_message = "time_zone ${jsonencode(var.time_zone)} is no name of a time zone, such as UTC or Europe/Zurich."
  }
}

variable "rolling_policy" {
  description = "When a file is closed: at a size, at an age; parquet also at each checkpoint, after which small files are put together (`compaction`)."
  type = object({
    file_size  = optional(string, "128MB")
    interval   = optional(string, "15 min")
    compaction = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("(?i)^[1-9][0-9]* ?(k|m|g)b$", var.rolling_policy.file_size)) && can(regex("^[1-9][0-9]* ?(ms|s|sec|secs|seconds?|m|min|minutes?|h|hours?|d|days?)$", var.rolling_policy.interval))
    error_message = "rolling_policy { file_size = ${jsonencode(var.rolling_policy.file_size)}, interval = ${jsonencode(var.rolling_policy.interval)} }: a size is a whole number and KB, MB or GB, an interval a whole number and ms, s, min, h or d."
  }
}

variable "checkpoint_config" {
  description = "How often state is saved, how long that may take, and under which URI: checkpoints go to `S3_PATH/JOB_NAME/checkpoints`, savepoints to `S3_PATH/JOB_NAME/savepoints`. Files are finished at checkpoints."
  type = object({
    interval = optional(string, "1 min")
    timeout  = optional(string)
    s3_path  = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for value in try([var.checkpoint_config.interval, var.checkpoint_config.timeout], []) : value == null || can(regex("^[1-9][0-9]* ?(ms|s|sec|secs|seconds?|m|min|minutes?|h|hours?|d|days?)$", value))])
    error_message = "checkpoint_config: ${join(" and ", [for name, value in try({ interval = var.checkpoint_config.interval, timeout = var.checkpoint_config.timeout }, {}) : "${name} ${jsonencode(value)}" if value != null && !can(regex("^[1-9][0-9]* ?(ms|s|sec|secs|seconds?|m|min|minutes?|h|hours?|d|days?)$", value))])} is no duration: write a whole number and ms, s, min, h or d, such as 30 s."
  }

  validation {
    condition     = try(var.checkpoint_config.s3_path, null) == null || can(regex("^(s3|s3a|s3p|gs|abfss?|wasbs?|oss|hdfs|file)://\\S+$", var.checkpoint_config.s3_path))
    error_message = "checkpoint_config: s3_path ${try(jsonencode(var.checkpoint_config.s3_path), "")} is no URI of a file system that Flink writes to, such as s3://bucket/flink."
  }
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

variable "initial_savepoint_path" {
  description = "The savepoint or checkpoint that the job begins from when it is made; later, `savepoint_redeploy_nonce` makes it begin from there again."
  type        = string
  default     = null

  validation {
    condition     = var.initial_savepoint_path == null || can(regex("^(s3|s3a|s3p|gs|abfss?|wasbs?|oss|hdfs|file)://\\S+$", var.initial_savepoint_path))
    error_message = "initial_savepoint_path ${try(jsonencode(var.initial_savepoint_path), "")} is no URI of a file system that Flink reads, such as s3://bucket/savepoints/savepoint-1."
  }
}

variable "allow_non_restored_state" {
  description = "Whether the job may begin from a savepoint with state that it has no place for any more."
  type        = bool
  default     = null
}

variable "restart_nonce" {
  description = "Another number restarts the job."
  type        = number
  default     = null

  validation {
    condition     = var.restart_nonce == null || try(floor(var.restart_nonce) == var.restart_nonce, false)
    error_message = "restart_nonce is not a whole number."
  }
}

variable "savepoint_trigger_nonce" {
  description = "Another number has a savepoint taken."
  type        = number
  default     = null

  validation {
    condition     = var.savepoint_trigger_nonce == null || try(floor(var.savepoint_trigger_nonce) == var.savepoint_trigger_nonce, false)
    error_message = "savepoint_trigger_nonce is not a whole number."
  }
}

variable "savepoint_redeploy_nonce" {
  description = "Another number has the job begin from `initial_savepoint_path` again."
  type        = number
  default     = null

  validation {
    condition     = var.savepoint_redeploy_nonce == null || try(floor(var.savepoint_redeploy_nonce) == var.savepoint_redeploy_nonce, false)
    error_message = "savepoint_redeploy_nonce is not a whole number."
  }
}
