variable "enabled" {
  description = "Whether the stream exists at all."
  type        = bool
  default     = true
  nullable    = false
}

variable "name" {
  description = "The job's name, and what the names of topics and connectors begin with."
  type        = string
  nullable    = false
}

variable "labels" {
  description = "Labels of all that is made."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "kafka_namespace" {
  description = "Where Kafka and Kafka Connect run."
  type        = string
  default     = "kafka"
  nullable    = false
}

variable "flink_namespace" {
  description = "Where Flink runs."
  type        = string
  default     = "flink"
  nullable    = false
}

variable "kafka_cluster" {
  description = "The name of the Kafka."
  type        = string
  nullable    = false
}

variable "connect_cluster" {
  description = "The name of the KafkaConnect."
  type        = string
  nullable    = false
}

variable "session_cluster" {
  description = "The name of the session cluster's FlinkDeployment."
  type        = string
  nullable    = false
}

variable "registry_url" {
  description = "The schema registry's address."
  type        = string
  nullable    = false
}

variable "partitions" {
  description = "Partitions of the topics, slots of the job and tasks of the sink."
  type        = number
  default     = 1
  nullable    = false
}

variable "kafka" {
  description = "The job's connection to Kafka, as in sdp.toml."
  type        = map(string)
  nullable    = false
}

variable "sql" {
  description = "The job's SQL files. `$${from}` and `$${to}` are its topics, `$${group}` its consumer group."
  type        = list(string)
  nullable    = false
}

variable "args" {
  description = "More values of the `$${name}` in them."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "from" {
  description = "The table that is read, as `SCHEMA.TABLE`; the password is a reference."
  type = object({
    host     = string
    database = string
    table    = string
    user     = string
    password = string
  })
  nullable = false
}

variable "to" {
  description = "The table that is written, and its key's columns; the password is a reference."
  type = object({
    url      = string
    table    = string
    key      = list(string)
    user     = string
    password = string
  })
  nullable = false
}
