# One call for a whole stream: a table of PostgreSQL, totalled by a SQL job, into a table of another database.

terraform {
  required_version = ">= 1.7"

  required_providers {
    kubectl = {
      source  = "gavinbunney/kubectl"
      version = ">= 1.19"
    }
  }
}

variable "enabled" {
  description = "Whether the stream exists."
  type        = bool
  default     = true
}

module "order_totals" {
  source = "./stream"

  enabled         = var.enabled
  name            = "order-totals"
  kafka_cluster   = "main"
  connect_cluster = "connect"
  session_cluster = "session"
  registry_url    = "http://registry.kafka:8081"

  kafka = {
    "bootstrap.servers" = "main-kafka-bootstrap.kafka:9092"
  }

  from = {
    host     = "postgres.shop"
    database = "shop"
    table    = "public.orders"
    user     = "replicator"
    password = "$${secrets:kafka/shop-replicator:password}"
  }

  sql = [
    "${path.module}/sql/orders.sql",
    "${path.module}/sql/order_totals.sql",
    "${path.module}/sql/job.sql",
  ]

  to = {
    url      = "jdbc:postgresql://postgres.reports:5432/reports"
    table    = "public.order_totals"
    key      = ["symbol"]
    user     = "writer"
    password = "$${secrets:kafka/reports-writer:password}"
  }
}

output "topics" {
  description = "The topics of the stream."
  value       = module.order_totals.topics
}

output "manifests" {
  description = "What is applied."
  value       = module.order_totals.manifests
}
