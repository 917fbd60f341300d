variable "enabled" {
  description = "Whether the topic's resource exists at all; false makes nothing, and takes away what was there, records included, where `managed` is true."
  type        = bool
  default     = true
  nullable    = false
}

variable "name" {
  description = "The topic's name in Kafka."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{1,249}$", var.name)) && !contains([".", ".."], var.name)
    error_message = "name ${jsonencode(var.name)} is no name of a topic: letters, digits, ., _ and -, at most 249, and neither . nor ..."
  }
}

variable "namespace" {
  description = "The namespace of the Kafka, which its topic operator watches."
  type        = string
  default     = "kafka"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace ${jsonencode(var.namespace)} is no name of a namespace: lower case letters, digits and hyphens, at most 63."
  }
}

variable "cluster" {
  description = "The name of the Kafka, in the same namespace."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$", var.cluster))
    error_message = "cluster ${jsonencode(var.cluster)} is no name of a Kafka: lower case letters, digits, hyphens and dots, at most 63."
  }
}

variable "partitions" {
  description = "How many partitions it has. They can become more later, which moves keys to other partitions, and never fewer."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.partitions >= 1 && floor(var.partitions) == var.partitions && var.partitions <= 100000
    error_message = "partitions ${var.partitions} is not a whole number from 1 to 100000."
  }
}

variable "replicas" {
  description = "How many brokers hold each partition; without it, the cluster's `default.replication.factor`."
  type        = number
  default     = null

  validation {
    condition     = var.replicas == null || try(var.replicas >= 1 && var.replicas <= 32767 && floor(var.replicas) == var.replicas, false)
    error_message = "replicas is not a whole number from 1 to 32767."
  }
}

variable "config" {
  description = "The topic's configuration by Kafka's names, such as `retention.ms` and `cleanup.policy`; without a key, the cluster's value holds."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.config) : contains(["cleanup.policy", "compression.gzip.level", "compression.lz4.level", "compression.type", "compression.zstd.level", "delete.retention.ms", "file.delete.delay.ms", "flush.messages", "flush.ms", "follower.replication.throttled.replicas", "index.interval.bytes", "leader.replication.throttled.replicas", "local.retention.bytes", "local.retention.ms", "max.compaction.lag.ms", "max.message.bytes", "message.timestamp.after.max.ms", "message.timestamp.before.max.ms", "message.timestamp.type", "min.cleanable.dirty.ratio", "min.compaction.lag.ms", "min.insync.replicas", "preallocate", "remote.log.copy.disable", "remote.log.delete.on.disable", "remote.storage.enable", "retention.bytes", "retention.ms", "segment.bytes", "segment.index.bytes", "segment.jitter.ms", "segment.ms", "unclean.leader.election.enable"], key)])
    error_message = "Kafka has no such configuration of a topic: ${join(", ", [for key in keys(var.config) : key if !contains(["cleanup.policy", "compression.gzip.level", "compression.lz4.level", "compression.type", "compression.zstd.level", "delete.retention.ms", "file.delete.delay.ms", "flush.messages", "flush.ms", "follower.replication.throttled.replicas", "index.interval.bytes", "leader.replication.throttled.replicas", "local.retention.bytes", "local.retention.ms", "max.compaction.lag.ms", "max.message.bytes", "message.timestamp.after.max.ms", "message.timestamp.before.max.ms", "message.timestamp.type", "min.cleanable.dirty.ratio", "min.compaction.lag.ms", "min.insync.replicas", "preallocate", "remote.log.copy.disable", "remote.log.delete.on.disable", "remote.storage.enable", "retention.bytes", "retention.ms", "segment.bytes", "segment.index.bytes", "segment.jitter.ms", "segment.ms", "unclean.leader.election.enable"], key)])}."
  }

  validation {
    condition = alltrue([for key, value in var.config : can(regex(lookup(
      { "cleanup.policy" = "^(delete|compact|compact,delete|delete,compact)$", "compression.gzip.level" = "^-?[0-9]{1,6}$", "compression.lz4.level" = "^-?[0-9]{1,6}$", "compression.type" = "^(uncompressed|zstd|lz4|snappy|gzip|producer)$", "compression.zstd.level" = "^-?[0-9]{1,6}$", "delete.retention.ms" = "^[0-9]{1,19}$", "file.delete.delay.ms" = "^[0-9]{1,19}$", "flush.messages" = "^[0-9]{1,19}$", "flush.ms" = "^[0-9]{1,19}$", "follower.replication.throttled.replicas" = "^(\\*|([0-9]+:[0-9]+)(,[0-9]+:[0-9]+)*)?$", "index.interval.bytes" = "^[0-9]{1,19}$", "leader.replication.throttled.replicas" = "^(\\*|([0-9]+:[0-9]+)(,[0-9]+:[0-9]+)*)?$", "local.retention.bytes" = "^(-1|[0-9]{1,19})$", "local.retention.ms" = "^(-1|[0-9]{1,19})$", "max.compaction.lag.ms" = "^[0-9]{1,19}$", "max.message.bytes" = "^[0-9]{1,19}$", "message.timestamp.after.max.ms" = "^(-1|[0-9]{1,19})$", "message.timestamp.before.max.ms" = "^(-1|[0-9]{1,19})$", "message.timestamp.type" = "^(CreateTime|LogAppendTime)$", "min.cleanable.dirty.ratio" = "^(0(\\.[0-9]+)?|1(\\.0+)?)$", "min.compaction.lag.ms" = "^[0-9]{1,19}$", "min.insync.replicas" = "^[0-9]{1,19}$", "preallocate" = "^(true|false)$", "remote.log.copy.disable" = "^(true|false)$", "remote.log.delete.on.disable" = "^(true|false)$", "remote.storage.enable" = "^(true|false)$", "retention.bytes" = "^(-1|[0-9]{1,19})$", "retention.ms" = "^(-1|[0-9]{1,19})$", "segment.bytes" = "^[0-9]{1,19}$", "segment.index.bytes" = "^[0-9]{1,19}$", "segment.jitter.ms" = "^[0-9]{1,19}$", "segment.ms" = "^[0-9]{1,19}$", "unclean.leader.election.enable" = "^(true|false)$" },
      key, ""
    ), value))])
    error_message = "Values that Kafka refuses: ${join(", ", [for key, value in var.config : "${key}=${try(jsonencode(value), "")}" if !can(regex(lookup(
      { "cleanup.policy" = "^(delete|compact|compact,delete|delete,compact)$", "compression.gzip.level" = "^-?[0-9]{1,6}$", "compression.lz4.level" = "^-?[0-9]{1,6}$", "compression.type" = "^(uncompressed|zstd|lz4|snappy|gzip|producer)$", "compression.zstd.level" = "^-?[0-9]{1,6}$", "delete.retention.ms" = "^[0-9]{1,19}$", "file.delete.delay.ms" = "^[0-9]{1,19}$", "flush.messages" = "^[0-9]{1,19}$", "flush.ms" = "^[0-9]{1,19}$", "follower.replication.throttled.replicas" = "^(\\*|([0-9]+:[0-9]+)(,[0-9]+:[0-9]+)*)?$", "index.interval.bytes" = "^[0-9]{1,19}$", "leader.replication.throttled.replicas" = "^(\\*|([0-9]+:[0-9]+)(,[0-9]+:[0-9]+)*)?$", "local.retention.bytes" = "^(-1|[0-9]{1,19})$", "local.retention.ms" = "^(-1|[0-9]{1,19})$", "max.compaction.lag.ms" = "^[0-9]{1,19}$", "max.message.bytes" = "^[0-9]{1,19}$", "message.timestamp.after.max.ms" = "^(-1|[0-9]{1,19})$", "message.timestamp.before.max.ms" = "^(-1|[0-9]{1,19})$", "message.timestamp.type" = "^(CreateTime|LogAppendTime)$", "min.cleanable.dirty.ratio" = "^(0(\\.[0-9]+)?|1(\\.0+)?)$", "min.compaction.lag.ms" = "^[0-9]{1,19}$", "min.insync.replicas" = "^[0-9]{1,19}$", "preallocate" = "^(true|false)$", "remote.log.copy.disable" = "^(true|false)$", "remote.log.delete.on.disable" = "^(true|false)$", "remote.storage.enable" = "^(true|false)$", "retention.bytes" = "^(-1|[0-9]{1,19})$", "retention.ms" = "^(-1|[0-9]{1,19})$", "segment.bytes" = "^[0-9]{1,19}$", "segment.index.bytes" = "^[0-9]{1,19}$", "segment.jitter.ms" = "^[0-9]{1,19}$", "segment.ms" = "^[0-9]{1,19}$", "unclean.leader.election.enable" = "^(true|false)$" },
      key, ""
    ), value))])}. Times are milliseconds and sizes bytes, whole numbers, -1 for no limit; true or false; cleanup.policy is delete, compact or both."
  }
}

variable "resource_name" {
  description = "The KafkaTopic's name in Kubernetes; without it the topic's own, and where Kubernetes does not take that, one made of it."
  type        = string
  default     = null

  validation {
    condition     = var.resource_name == null || can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", var.resource_name))
    error_message = "resource_name ${try(jsonencode(var.resource_name), "")} is no name that Kubernetes takes: lower case letters, digits, hyphens and dots, at most 253."
  }
}

variable "managed" {
  description = "Whether the operator carries changes to Kafka. Set to false and applied, the resource can be taken away and the topic stays."
  type        = bool
  default     = true
  nullable    = false
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
