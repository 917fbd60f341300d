# The platform's calls side by side, as a team's repository has them.

terraform {
  required_version = ">= 1.7"

  required_providers {
    kubectl = {
      source  = "gavinbunney/kubectl"
      version = ">= 1.19"
    }
  }
}

variable "suspended" {
  description = "Jobs that are suspended on purpose: they end with a savepoint, and nobody is told that they are gone."
  type        = set(string)
  default     = []
}

locals {
  states = { for name in ["large-orders", "order-features", "order-totals"] : name => contains(var.suspended, name) ? "suspended" : "running" }

  kafka = {
    main = {
      "bootstrap.servers" = "main-kafka-bootstrap.kafka:9092"
    }
  }
}

# A sink connector.
module "orders_archive" {
  source = "../../modules/kafka-connect/sink"

  enabled = true
  name    = "orders-archive"
  cluster = "connect"
  class   = "io.aiven.kafka.connect.s3.AivenKafkaConnectS3SinkConnector"
  topics  = ["orders"]

  task_config = {
    "aws.s3.bucket.name"    = "team-archive"
    "aws.s3.region"         = "eu-central-1"
    "aws.access.key.id"     = "$${secrets:kafka/archive:id}"
    "aws.secret.access.key" = "$${secrets:kafka/archive:key}"
    "value.converter"       = "org.apache.kafka.connect.converters.ByteArrayConverter"
  }
}

# A SQL job in the session cluster.
module "large_orders" {
  source = "../../modules/flink/sql-job"

  enabled         = true
  job_name        = "large-orders"
  session_cluster = "session"
  parallelism     = 2
  state           = local.states["large-orders"]
  upgrade_mode    = "savepoint"

  sql = [
    "${path.module}/sql/orders.sql",
    "${path.module}/sql/large_orders.sql",
    "${path.module}/sql/job.sql",
  ]
  args  = { least = 100 }
  kafka = local.kafka
}

# A Python job in the session cluster.
module "order_features" {
  source = "../../modules/flink/python-job"

  enabled         = true
  job_name        = "order-features"
  session_cluster = "session"
  parallelism     = 2
  state           = local.states["order-features"]
  py_module       = "features.orders"
  py_archive_uri  = "s3://team-flink/jobs/features-1.4.0.zip"
  args            = { topic = "orders" }
}

# A SQL job with a cluster, an image and resources of its own.
module "order_totals" {
  source = "../../modules/flink/standalone-job"

  enabled      = true
  job_name     = "order-totals"
  job_type     = "sql"
  parallelism  = 4
  state        = local.states["order-totals"]
  upgrade_mode = "last-state"
  flink_image  = "registry.example.com/team/flink:2.3.0"

  sql = [
    "${path.module}/sql/orders.sql",
    "${path.module}/sql/large_orders.sql",
    "${path.module}/sql/job.sql",
  ]
  args  = { least = 1000 }
  kafka = local.kafka

  checkpoint_config = {
    interval = "30 s"
    timeout  = "10 min"
    s3_path  = "s3://team-flink/state"
  }
  tm_resource = {
    cpu    = 2
    memory = "4g"
  }
}

# Who is told when one of them is gone or falls behind.
module "monitoring" {
  source = "../../modules/monitoring"

  labels       = { release = "kube-prometheus-stack" }
  alert_labels = { team = "orders" }
  jobs         = { flink = [for name in compact([module.large_orders.name, module.order_features.name, module.order_totals.name]) : name if local.states[name] == "running"] }
  connectors   = { kafka = compact([module.orders_archive.name]) }
}
