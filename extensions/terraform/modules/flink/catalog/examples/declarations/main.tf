# The repository's shared declarations, where notebooks and jobs of the namespace find them.

terraform {
  required_version = ">= 1.7"

  required_providers {
    kubectl = {
      source  = "gavinbunney/kubectl"
      version = ">= 1.19"
    }
  }
}

module "declarations" {
  source = "../.."

  name      = "declarations"
  directory = "${path.module}/sql"
}

output "manifest" {
  description = "What is applied."
  value       = module.declarations.manifest
}
