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

module "monitoring" {
  source = "../.."

  labels       = { release = "kube-prometheus-stack" }
  jobs         = { flink = ["order-totals"] }
  connectors   = { kafka = ["shop", "archive"] }
  alert_labels = { team = "risk" }

  thresholds = {
    lag              = 50000
    watermark_behind = 3600
  }
}

# What the KafkaConnect has under spec.metricsConfig.
output "connect_metrics" {
  value = module.monitoring.connect_metrics
}
