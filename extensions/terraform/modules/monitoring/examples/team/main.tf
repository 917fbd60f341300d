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

  labels             = { release = "kube-prometheus-stack" }
  operator_namespace = "flink-operator"
  jobs               = { flink = ["order-totals", "nightly"] }
  connectors         = { kafka = ["shop", "archive"] }
  alert_labels       = { team = "risk" }

  # Its checkpoints are an hour apart.
  checkpoint_ages = { flink = { nightly = 7200 } }

  thresholds = {
    lag              = 50000
    watermark_behind = 3600
  }
}

# What the KafkaConnect has under spec.metricsConfig.
output "connect_metrics" {
  value = module.monitoring.connect_metrics
}
