# The cluster that SQL jobs and notebooks share.

terraform {
  required_version = ">= 1.7"

  required_providers {
    kubectl = {
      source  = "gavinbunney/kubectl"
      version = ">= 1.19"
    }
  }
}

module "session" {
  source = "../.."

  name        = "session"
  flink_image = "registry.example.com/team/flink:2.3.0"

  task_slots = 4
  tm_resource = {
    cpu    = 2
    memory = "8g"
  }
  jm_resource = {
    cpu    = 1
    memory = "2g"
  }

  checkpoint_config = {
    interval = "1 min"
    s3_path  = "s3://team-flink/state"
  }
  high_availability = true

  secret_env = {
    KAFKA_PASSWORD = { secret = "session-kafka", key = "password" }
  }
  secret_files = {
    kafka-ca = { secret = "main-cluster-ca-cert", path = "/etc/kafka" }
  }

  ingress = {
    host        = "session.flink.example.com"
    class_name  = "nginx"
    tls_secret  = "flink-tls"
    annotations = { "nginx.ingress.kubernetes.io/auth-url" = "https://login.example.com/oauth2/auth" }
  }
}

output "manifest" {
  description = "What is applied."
  value       = module.session.manifest
}
