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

variable "py_module" {
  description = "The module that is run, such as `jobs.orders`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)*$", var.py_module))
    error_message = "py_module ${jsonencode(var.py_module)} is no name of a Python module, such as jobs.orders (without .py)."
  }
}

variable "py_archive_uri" {
  description = "Where the module is: a .zip, .whl, .py file or directory that the cluster reads; null where the image has it."
  type        = string
  default     = null

  validation {
    condition     = var.py_archive_uri == null || can(regex("^((s3|s3a|s3p|gs|abfss?|wasbs?|oss|hdfs|file)://[^\\s,]+|/[^\\s,]+)$", var.py_archive_uri))
    error_message = "py_archive_uri ${try(jsonencode(var.py_archive_uri), "")} is neither a URI of a file system that Flink reads, such as s3://team/jobs.zip (https is none), nor an absolute path."
  }
}

variable "py_files" {
  description = "More files, archives or directories for the Python path, by URI or absolute path."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for file in var.py_files : can(regex("^((s3|s3a|s3p|gs|abfss?|wasbs?|oss|hdfs|file)://[^\\s,]+|/[^\\s,]+)$", file))])
    error_message = "py_files: ${join(", ", [for file in var.py_files : jsonencode(file) if !can(regex("^((s3|s3a|s3p|gs|abfss?|wasbs?|oss|hdfs|file)://[^\\s,]+|/[^\\s,]+)$", file))])} is neither a URI of a file system that Flink reads (https is none) nor an absolute path."
  }
}

variable "py_archives" {
  description = "Archives that the workers unpack, such as a virtual environment: `URI` or `URI#DIRECTORY`."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for file in var.py_archives : can(regex("^((s3|s3a|s3p|gs|abfss?|wasbs?|oss|hdfs|file)://[^\\s,]+|/[^\\s,]+)$", file))])
    error_message = "py_archives: ${join(", ", [for file in var.py_archives : jsonencode(file) if !can(regex("^((s3|s3a|s3p|gs|abfss?|wasbs?|oss|hdfs|file)://[^\\s,]+|/[^\\s,]+)$", file))])} is neither a URI of a file system that Flink reads (https is none) nor an absolute path."
  }
}

variable "python_executable" {
  description = "The Python interpreter, in the image or inside an archive of `py_archives` (`ARCHIVE/bin/python`)."
  type        = string
  default     = null

  validation {
    condition     = var.python_executable == null || can(regex("^[^\\s,]+$", var.python_executable))
    error_message = "python_executable ${try(jsonencode(var.python_executable), "")} is no path: it holds a space or a comma."
  }
}

variable "args" {
  description = "The program's arguments by name, passed as `--NAME VALUE` in the names' order."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.args) : can(regex("^[A-Za-z_][A-Za-z0-9_.-]*$", name))])
    error_message = "Not names of arguments: ${join(", ", [for name in keys(var.args) : jsonencode(name) if !can(regex("^[A-Za-z_][A-Za-z0-9_.-]*$", name))])}. A name is a letter or _, then letters, digits, _, . and -."
  }

  validation {
    condition     = alltrue([for value in values(var.args) : value != null && !can(regex("['\"`;\\n\\r\\x00\\\\]|\\$\\{|%\\{|--|/\\*|\\*/", value))])
    error_message = "The value of ${join(", ", [for name, value in var.args : name if value == null || can(regex("['\"`;\\n\\r\\x00\\\\]|\\$\\{|%\\{|--|/\\*|\\*/", value))])} is not plain: it is null, or holds a quote, a backslash, ;, a line break, --, /*, */, $${ or %%{. Pass plain words and numbers here, and anything else in extra_args."
  }
}

variable "extra_args" {
  description = "More arguments, passed as they are behind `args`."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "checkpoint_config" {
  description = "How often state is saved, how long that may take, and under which URI: checkpoints go to `S3_PATH/JOB_NAME/checkpoints`, savepoints to `S3_PATH/JOB_NAME/savepoints`. Without it, the cluster's configuration holds."
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
