# Orders of an amount or more, from one topic to another.

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
  description = "Kafka clusters by alias, as in sdp.toml."
  type        = map(map(string))
  default = {
    main = {
      "bootstrap.servers" = "main-kafka-bootstrap.kafka:9093"
      "security.protocol" = "SASL_SSL"
      "sasl.mechanism"    = "SCRAM-SHA-512"
      "sasl.username"     = "large-orders"
      "sasl.password"     = "env:KAFKA_PASSWORD"
      "ssl.ca.location"   = "/etc/kafka/ca.crt"
    }
  }
}

variable "topic" {
  description = "The topic of the orders; large ones go to TOPIC.large."
  type        = string
  default     = "orders"
}

module "large_orders" {
  source = "../.."

  job_name        = "large-orders"
  parallelism     = 2
  session_cluster = "session"

  sql = [
    "${path.module}/sql/tables/orders.sql",
    "${path.module}/sql/tables/large_orders.sql",
    "${path.module}/sql/jobs/large-orders.sql",
  ]

  args = {
    topic = var.topic
    group = "large-orders"
    least = 100
  }

  kafka = var.kafka

  checkpoint_config = {
    interval = "30 s"
    timeout  = "10 min"
    s3_path  = "s3://team-flink/state"
  }
}

output "manifest" {
  description = "What is applied."
  value       = module.large_orders.manifest
}
