variable "enabled" {
  description = "Whether the catalog exists at all; false makes nothing, and takes away what was there."
  type        = bool
  default     = true
  nullable    = false
}

variable "name" {
  description = "The catalog's name: the ConfigMap's, and the label `sdp.catalog`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.name))
    error_message = "name ${jsonencode(var.name)} is no name that Kubernetes takes: it begins with a lower case letter, goes on with lower case letters, digits and hyphens, does not end with a hyphen, and has at most 63 characters."
  }
}

variable "namespace" {
  description = "The namespace."
  type        = string
  default     = "flink"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace ${jsonencode(var.namespace)} is no name of a namespace: lower case letters, digits and hyphens, at most 63."
  }
}

variable "directory" {
  description = "The directory of the declarations, with `tables`, `views` and `functions` in it: the repository's `sql`."
  type        = string
  nullable    = false

  validation {
    condition     = length(try(fileset(var.directory, "{tables,views,functions,other}/*.{sql,py}"), [])) > 0
    error_message = "directory: ${var.directory} has no file NAME.sql or NAME.py in tables, views, functions or other. Begin the path with $${path.root} or $${path.module}."
  }

  validation {
    condition     = alltrue([for file in try(fileset(var.directory, "{tables,views,functions,other}/*.{sql,py}"), []) : can(regex("^[a-z]+/[A-Za-z0-9_.-]{1,200}$", file))])
    error_message = "directory: no keys of a ConfigMap: ${join(", ", [for file in try(fileset(var.directory, "{tables,views,functions,other}/*.{sql,py}"), []) : file if !can(regex("^[a-z]+/[A-Za-z0-9_.-]{1,200}$", file))])}. Files have names of letters, digits, _, . and -."
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
