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

module "shop" {
  source = "../.."

  name         = "shop"
  cluster      = "connect"
  host         = "postgres.shop.svc"
  database     = "shop"
  user         = "$${secrets:kafka/shop-replicator:user}"
  password     = "$${secrets:kafka/shop-replicator:password}"
  topic_prefix = "shop"
  tables       = ["public.orders", "public.customers"]
}

output "topics" {
  value = module.shop.topics
}
