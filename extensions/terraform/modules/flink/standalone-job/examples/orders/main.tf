# A SQL job with a cluster of its own, its UI behind an Ingress, and a password from a secret.

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
      "sasl.username"     = "order-totals"
      "sasl.password"     = "env:KAFKA_PASSWORD"
      "ssl.ca.location"   = "/etc/kafka/ca.crt"
    }
  }
}

variable "topic" {
  description = "The topic of the orders; totals go to TOPIC.totals."
  type        = string
  default     = "orders"
}

module "order_totals" {
  source = "../.."

  job_name      = "order-totals"
  job_type      = "sql"
  parallelism   = 2
  upgrade_mode  = "last-state"
  flink_image   = "registry.example.com/team/flink:2.3.0"
  flink_version = "v2_3"

  sql   = ["${path.module}/order_totals.sql"]
  args  = { topic = var.topic }
  kafka = var.kafka

  tm_resource = {
    cpu    = 1
    memory = "4g"
  }

  checkpoint_config = {
    interval = "30 s"
    timeout  = "10 min"
    s3_path  = "s3://team-flink/state"
  }

  secret_env = {
    KAFKA_PASSWORD = { secret = "order-totals", key = "password" }
  }
  secret_files = {
    kafka-ca = { secret = "main-cluster-ca-cert", path = "/etc/kafka" }
  }

  ingress = {
    host       = "order-totals.flink.example.com"
    class_name = "nginx"
    tls_secret = "flink-tls"
  }
}

output "manifest" {
  description = "What is applied."
  value       = module.order_totals.manifest
}
