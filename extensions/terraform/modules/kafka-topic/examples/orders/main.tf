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

module "orders" {
  source = "../.."

  name       = "orders"
  cluster    = "main"
  partitions = 6
  replicas   = 3

  config = {
    "retention.ms"        = "604800000" # 7 days
    "min.insync.replicas" = "2"
  }
}

# A name that Kubernetes does not take: the KafkaTopic is called prices-latest-…, the topic prices_LATEST.
module "prices" {
  source = "../.."

  name    = "prices_LATEST"
  cluster = "main"
  config  = { "cleanup.policy" = "compact" }
}
