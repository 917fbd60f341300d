# A program of the Table API that totals orders, from one topic to another.

terraform {
  required_version = ">= 1.7"

  required_providers {
    kubectl = {
      source  = "gavinbunney/kubectl"
      version = ">= 1.19"
    }
  }
}

variable "py_archive_uri" {
  description = "Where the cluster reads the program."
  type        = string
  default     = "s3://team-flink/jobs/order_totals.py"
}

variable "bootstrap_servers" {
  description = "The Kafka cluster."
  type        = string
  default     = "main-kafka-bootstrap.kafka:9092"
}

variable "topic" {
  description = "The topic of the orders; totals go to TOPIC.totals."
  type        = string
  default     = "orders"
}

module "order_totals" {
  source = "../.."

  job_name        = "order-totals"
  session_cluster = "session"

  py_module      = "order_totals"
  py_archive_uri = var.py_archive_uri

  args = {
    bootstrap-servers = var.bootstrap_servers
    topic             = var.topic
  }

  checkpoint_config = {
    interval = "1 min"
    s3_path  = "s3://team-flink/state"
  }
}

output "manifest" {
  description = "What is applied."
  value       = module.order_totals.manifest
}
