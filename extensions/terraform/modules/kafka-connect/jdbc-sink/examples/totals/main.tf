terraform {
  required_version = ">= 1.7"

  required_providers {
    kubectl = {
      source  = "gavinbunney/kubectl"
      version = ">= 1.19"
    }
  }
}

provider "kubectl" {
  config_path = "~/.kube/config"
}

module "totals" {
  source = "../.."

  name                = "totals"
  cluster             = "connect"
  topics              = ["order-totals"]
  connection_url      = "jdbc:postgresql://postgres.reports.svc:5432/reports"
  user                = "writer"
  password            = "$${secrets:kafka/reports-writer:password}"
  table               = "public.order_totals"
  key_fields          = ["symbol"]
  format              = "avro"
  schema_registry_url = "http://registry.kafka.svc:8081"
  dead_letter_topic   = "order-totals-dead"
}
