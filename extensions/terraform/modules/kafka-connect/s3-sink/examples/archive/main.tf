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

module "archive" {
  source = "../.."

  name    = "archive"
  cluster = "connect"
  topics  = ["orders"]
  bucket  = "team-archive"
  region  = "eu-central-1"
  prefix  = "raw/"
}
