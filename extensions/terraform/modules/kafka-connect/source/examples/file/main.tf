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

module "lines" {
  source = "../.."

  name    = "lines"
  cluster = "connect"
  class   = "org.apache.kafka.connect.file.FileStreamSourceConnector"
  topics  = ["lines"]

  task_config = {
    file  = "/var/log/app.log"
    topic = "lines"
  }
}
