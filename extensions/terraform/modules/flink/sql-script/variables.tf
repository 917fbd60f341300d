variable "sql" {
  description = "Paths of SQL files, in the order in which their statements run."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for file in var.sql : fileexists(file)])
    error_message = "There is no such SQL file: ${join(", ", [for file in var.sql : file if !fileexists(file)])}. Begin a path with $${path.root} or $${path.module}."
  }
}

variable "args" {
  description = "Values of the `$${name}` in the SQL files."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.args) : can(regex("^[A-Za-z_][\\pL\\pN_]*$", name))])
    error_message = "Not names of arguments: ${join(", ", [for name in keys(var.args) : jsonencode(name) if !can(regex("^[A-Za-z_][\\pL\\pN_]*$", name))])}. A name is a letter or _, then letters, digits and _."
  }

  validation {
    condition     = !anytrue([for name in ["kafka", "registry", "functions"] : contains(keys(var.args), name)])
    error_message = "args holds ${join(" and ", [for name in ["kafka", "registry", "functions"] : name if contains(keys(var.args), name)])}: kafka and functions are arguments of the module, and registry follows from kafka."
  }

  validation {
    condition     = alltrue([for value in values(var.args) : value != null && !can(regex("['\"`;\\n\\r\\x00\\\\]|\\$\\{|%\\{|--|/\\*|\\*/", value))])
    error_message = "The value of ${join(", ", [for name, value in var.args : name if value == null || can(regex("['\"`;\\n\\r\\x00\\\\]|\\$\\{|%\\{|--|/\\*|\\*/", value))])} could break out of its statement: it is null, or holds a quote, a backslash, ;, a line break, --, /*, */, $${ or %%{. Pass plain words and numbers; quotes around $${…} belong into the SQL file."
  }
}

variable "kafka" {
  description = "Kafka clusters by alias: client properties by Kafka's names, as in sdp.toml. `$${kafka.ALIAS}` in the SQL becomes the connection, `$${registry.ALIAS}` the address of its schema registry. Secrets are references, `env:NAME` or `file:PATH`, that the task managers read."
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
  description = "Where the cluster reads the Python files of the job's functions, a directory or URI: what `$${functions}` in the SQL stands for."
  type        = string
  default     = null

  validation {
    condition     = var.functions == null || !can(regex("['\"`;\\n\\r\\x00\\\\]|\\$\\{|%\\{|--|/\\*|\\*/", var.functions))
    error_message = "functions could break out of its statement: it holds a quote, a backslash, ;, a line break, --, /*, */, $${ or %%{. Write a directory or URI, such as s3://team/functions."
  }
}
