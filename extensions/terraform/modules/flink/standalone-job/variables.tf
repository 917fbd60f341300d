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
    condition     = can(regex("^[a-z]([a-z0-9-]{0,43}[a-z0-9])?$", var.job_name))
    error_message = "job_name ${jsonencode(var.job_name)} is no name that Kubernetes takes: it begins with a lower case letter, goes on with lower case letters, digits and hyphens, does not end with a hyphen, and has at most 45 characters."
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

variable "job_type" {
  description = "What the job is: `sql` (with `sql`), `python` (with `py_module`) or `java` (with `jar_uri`)."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["sql", "python", "java"], var.job_type)
    error_message = "job_type ${jsonencode(var.job_type)} is none of sql, python and java."
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
  description = "Task slots of a TaskManager."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.task_slots >= 1 && var.task_slots <= 1024 && floor(var.task_slots) == var.task_slots
    error_message = "task_slots ${var.task_slots} is not a whole number from 1 to 1024."
  }
}

variable "sql" {
  description = "For `sql`: paths of SQL files, in the order in which their statements run."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for file in var.sql : fileexists(file)])
    error_message = "There is no such SQL file: ${join(", ", [for file in var.sql : file if !fileexists(file)])}. Begin a path with $${path.root} or $${path.module}."
  }
}

variable "args" {
  description = "For `sql`, values of the `$${name}` in the files; for `python` and `java`, the program's arguments, passed as `--NAME VALUE` in the names' order."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.args) : can(regex("^[A-Za-z_][\\pL\\pN_.-]*$", name))])
    error_message = "Not names of arguments: ${join(", ", [for name in keys(var.args) : jsonencode(name) if !can(regex("^[A-Za-z_][\\pL\\pN_.-]*$", name))])}. A name is a letter or _, then letters, digits and _; for python and java also . and -."
  }

  validation {
    condition     = alltrue([for value in values(var.args) : value != null && !can(regex("['\"`;\\n\\r\\x00\\\\]|\\$\\{|%\\{|--|/\\*|\\*/", value))])
    error_message = "The value of ${join(", ", [for name, value in var.args : name if value == null || can(regex("['\"`;\\n\\r\\x00\\\\]|\\$\\{|%\\{|--|/\\*|\\*/", value))])} could break out of its statement: it is null, or holds a quote, a backslash, ;, a line break, --, /*, */, $${ or %%{. Pass plain words and numbers; quotes around $${…} belong into the SQL file."
  }
}

variable "extra_args" {
  description = "For `python` and `java`: more arguments, passed as they are behind `args`."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "kafka" {
  description = "For `sql`: Kafka clusters by alias: client properties by Kafka's names, as in sdp.toml. `$${kafka.ALIAS}` in the SQL becomes the connection, `$${registry.ALIAS}` the address of its schema registry. Secrets are references, `env:NAME` or `file:PATH`, that the task managers read."
  type        = map(map(string))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for alias in keys(var.kafka) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", alias))])
    error_message = "Not aliases of Kafka clusters: ${join(", ", [for alias in keys(var.kafka) : jsonencode(alias) if !can(regex("^[A-Za-z_][A-Za-z0-9_]*$", alias))])}. An alias is a letter or _, then letters, digits and _."
  }

  validation {
    condition     = alltrue([for properties in values(var.kafka) : try(length(properties["bootstrap.servers"]) > 0, false)])
    error_message = "No bootstrap.servers: ${join(", ", [for alias, properties in var.kafka : "kafka.${alias}" if !try(length(properties["bootstrap.servers"]) > 0, false)])}."
  }

  validation {
    condition = alltrue(flatten([for properties in values(var.kafka) : [
      for key, value in properties : can(regex("^(?s:(env|file):.)", value))
      if can(regex("(?i)password|passphrase|secret|token|credential|\\.jaas\\.config$|(api|access|account|private)[._-]?key", key)) && !can(regex("(?i)[.-](url|source|file|location|path)$", key))
    ]]))
    error_message = "A literal secret: ${join(", ", flatten([for alias, properties in var.kafka : [
      for key, value in properties : "kafka.${alias}.${key}"
      if can(regex("(?i)password|passphrase|secret|token|credential|\\.jaas\\.config$|(api|access|account|private)[._-]?key", key)) && !can(regex("(?i)[.-](url|source|file|location|path)$", key)) && !can(regex("^(?s:(env|file):.)", value))
    ]]))}. Write env:NAME or file:PATH, which the task managers read: see secret_env and secret_files of the cluster."
  }

  validation {
    condition = alltrue(flatten([for properties in values(var.kafka) : [
      for key, value in properties : can(regex("^(?:file:)?(?:/[^/:}]+)+$", value)) && !can(regex("/\\.{1,2}(/|$)", value))
      if can(regex("^(?s:file:.)", value)) || contains(["ssl.certificate.location", "ssl.key.location"], key)
    ]]))
    error_message = "No absolute path in the task managers: ${join(", ", flatten([for alias, properties in var.kafka : [
      for key, value in properties : "kafka.${alias}.${key}"
      if(can(regex("^(?s:file:.)", value)) || contains(["ssl.certificate.location", "ssl.key.location"], key)) && (!can(regex("^(?:file:)?(?:/[^/:}]+)+$", value)) || can(regex("/\\.{1,2}(/|$)", value)))
    ]]))}. Write /directory/name, without //, /./ or /../ in it."
  }
}

variable "functions" {
  description = "For `sql`: where the cluster reads the Python files of the job's functions, a directory or URI: what `$${functions}` in the SQL stands for."
  type        = string
  default     = null

  validation {
    condition     = var.functions == null || !can(regex("['\"`;\\n\\r\\x00\\\\]|\\$\\{|%\\{|--|/\\*|\\*/", var.functions))
    error_message = "functions could break out of its statement: it holds a quote, a backslash, ;, a line break, --, /*, */, $${ or %%{. Write a directory or URI, such as s3://team/functions."
  }
}

variable "py_module" {
  description = "For `python`: the module that is run, such as `jobs.orders`."
  type        = string
  default     = null

  validation {
    condition     = var.py_module == null || can(regex("^[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)*$", var.py_module))
    error_message = "py_module ${try(jsonencode(var.py_module), "")} is no name of a Python module, such as jobs.orders (without .py)."
  }
}

variable "py_archive_uri" {
  description = "For `python`: where the module is: a .zip, .whl, .py file or directory that the cluster reads; null where the image has it."
  type        = string
  default     = null

  validation {
    condition     = var.py_archive_uri == null || can(regex("^((s3|s3a|s3p|gs|abfss?|wasbs?|oss|hdfs|file)://[^\\s,]+|/[^\\s,]+)$", var.py_archive_uri))
    error_message = "py_archive_uri ${try(jsonencode(var.py_archive_uri), "")} is neither a URI of a file system that Flink reads, such as s3://team/jobs.zip (https is none), nor an absolute path."
  }
}

variable "py_files" {
  description = "For `python`: more files, archives or directories for the Python path, by URI or absolute path."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for file in var.py_files : can(regex("^((s3|s3a|s3p|gs|abfss?|wasbs?|oss|hdfs|file)://[^\\s,]+|/[^\\s,]+)$", file))])
    error_message = "py_files: ${join(", ", [for file in var.py_files : jsonencode(file) if !can(regex("^((s3|s3a|s3p|gs|abfss?|wasbs?|oss|hdfs|file)://[^\\s,]+|/[^\\s,]+)$", file))])} is neither a URI of a file system that Flink reads (https is none) nor an absolute path."
  }
}

variable "py_archives" {
  description = "For `python`: archives that the workers unpack, such as a virtual environment: `URI` or `URI#DIRECTORY`."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for file in var.py_archives : can(regex("^((s3|s3a|s3p|gs|abfss?|wasbs?|oss|hdfs|file)://[^\\s,]+|/[^\\s,]+)$", file))])
    error_message = "py_archives: ${join(", ", [for file in var.py_archives : jsonencode(file) if !can(regex("^((s3|s3a|s3p|gs|abfss?|wasbs?|oss|hdfs|file)://[^\\s,]+|/[^\\s,]+)$", file))])} is neither a URI of a file system that Flink reads (https is none) nor an absolute path."
  }
}

variable "python_executable" {
  description = "For `python`: the interpreter, in the image or inside an archive of `py_archives` (`ARCHIVE/bin/python`)."
  type        = string
  default     = null

  validation {
    condition     = var.python_executable == null || can(regex("^[^\\s,]+$", var.python_executable))
    error_message = "python_executable ${try(jsonencode(var.python_executable), "")} is no path: it holds a space or a comma."
  }
}

variable "jar_uri" {
  description = "For `java`: the job's jar, most often of the image: `local:///opt/flink/usrlib/job.jar`. For `sql`: any jar of the image, since Flink needs the name of one, and uses no class of it; without a value, an example that Flink's own image has, `local:///opt/flink/examples/streaming/TopSpeedWindowing.jar`."
  type        = string
  default     = null

  validation {
    condition     = var.jar_uri == null || can(regex("^(https?|s3|s3a|s3p|gs|abfss?|wasbs?|oss|hdfs|file|local)://[^\\s?#]+\\.jar(\\?\\S*)?$", var.jar_uri))
    error_message = "jar_uri ${try(jsonencode(var.jar_uri), "")} is no URI of a jar: a scheme (local, https, s3, gs, abfs, hdfs, file), a path, and .jar at its end, behind which a query may stand."
  }
}

variable "entry_class" {
  description = "For `java`: the class with the main method; without it, the jar's manifest names one."
  type        = string
  default     = null

  validation {
    condition     = var.entry_class == null || can(regex("^([A-Za-z_$][A-Za-z0-9_$]*\\.)*[A-Za-z_$][A-Za-z0-9_$]*$", var.entry_class))
    error_message = "entry_class ${try(jsonencode(var.entry_class), "")} is no name of a Java class, such as com.example.Orders."
  }
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

variable "directories_by_operator" {
  description = "Whether the operator's own default configuration says where checkpoints, savepoints and the JobManager's metadata go: then no place is asked for here."
  type        = bool
  default     = false
  nullable    = false
}

variable "high_availability" {
  description = "Whether the JobManager's metadata are kept in Kubernetes and under `checkpoint_config.s3_path`, so that one that is lost goes on; without a value, where `upgrade_mode` is `last-state`, which needs it, or `savepoint` and `checkpoint_config.s3_path` is set."
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
