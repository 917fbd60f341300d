# A jar of the team's, in a session cluster.

terraform {
  required_version = ">= 1.7"

  required_providers {
    kubectl = {
      source  = "gavinbunney/kubectl"
      version = ">= 1.19"
    }
  }
}

module "order_totals" {
  source = "../.."

  job_name        = "order-totals"
  session_cluster = "session"
  parallelism     = 2

  jar_uri     = "https://artifacts.example.com/order-totals-1.4.0.jar"
  entry_class = "com.example.OrderTotals"

  args = {
    bootstrap-servers = "main-kafka-bootstrap.kafka:9092"
    topic             = "orders"
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
