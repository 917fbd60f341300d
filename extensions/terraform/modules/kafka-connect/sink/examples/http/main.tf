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

module "alerts" {
  source = "../.."

  name              = "alerts"
  cluster           = "connect"
  class             = "io.aiven.kafka.connect.http.HttpSinkConnector"
  topics            = ["alerts"]
  dead_letter_topic = "alerts-dead"
  tasks_max         = 2

  auto_restart = { max_restarts = 10 }

  task_config = {
    "http.url"                   = "https://alerts.example/hook"
    "http.authorization.type"    = "static"
    "http.headers.authorization" = "$${secrets:kafka/alerts:authorization}"
    "value.converter"            = "org.apache.kafka.connect.storage.StringConverter"
  }
}
