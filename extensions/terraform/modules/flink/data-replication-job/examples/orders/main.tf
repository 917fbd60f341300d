# Every record of a topic as JSON lines, in directories by hour.

terraform {
  required_version = ">= 1.7"

  required_providers {
    kubectl = {
      source  = "gavinbunney/kubectl"
      version = ">= 1.19"
    }
  }
}

variable "kafka" {
  description = "The Kafka cluster."
  type        = map(string)
  default = {
    "bootstrap.servers" = "main-kafka-bootstrap.kafka:9092"
  }
}

variable "topic" {
  description = "The topic."
  type        = string
  default     = "orders"
}

variable "s3_path" {
  description = "Where the files go."
  type        = string
  default     = "s3://team-lake/orders"
}

variable "file_format" {
  description = "The files' format."
  type        = string
  default     = "json"
}

module "orders" {
  source = "../.."

  job_name        = "orders-to-lake"
  session_cluster = "session"

  kafka       = var.kafka
  topic       = var.topic
  s3_path     = var.s3_path
  file_format = var.file_format

  columns = [
    { name = "id", type = "BIGINT" },
    { name = "symbol", type = "STRING" },
    { name = "amount", type = "DECIMAL(10, 2)" },
    { name = "ordered_at", type = "TIMESTAMP_LTZ(3)" },
  ]
  time_column    = "ordered_at"
  format_options = { "json.timestamp-format.standard" = "ISO-8601" }

  rolling_policy = {
    file_size = "128MB"
    interval  = "10 min"
  }

  checkpoint_config = {
    interval = "1 min"
    s3_path  = "s3://team-flink/state"
  }
}

output "manifest" {
  description = "What is applied."
  value       = module.orders.manifest
}
