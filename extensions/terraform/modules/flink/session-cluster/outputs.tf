output "name" {
  description = "The cluster's name, for `session_cluster` of the jobs, also where it is not enabled: so that the jobs are made after it, and taken away before it."
  value       = var.name
  depends_on  = [module.deployment]
}

output "namespace" {
  description = "Its namespace."
  value       = var.namespace
}

output "manifest" {
  description = "The FlinkDeployment as JSON; null where it is not enabled."
  value       = var.enabled ? module.deployment.manifest : null

  precondition {
    condition     = local.manifest_bytes < 400000
    error_message = "The cluster's manifest has ${local.manifest_bytes} bytes, and may have no more than 400000, since the operator writes it twice more into the status of the same object: log_configuration and flink_configuration are most of it."
  }

  precondition {
    condition     = !local.high_availability || try(var.checkpoint_config.s3_path, null) != null || can(var.flink_configuration["high-availability.storageDir"])
    error_message = "high_availability needs a place for the JobManager's metadata: set checkpoint_config = { s3_path = … }."
  }
}

output "ui_url" {
  description = "Where Flink's UI is reached from outside; null without an Ingress."
  value       = try("${var.ingress.tls_secret == null ? "http" : "https"}://${var.ingress.host}", null)
}

output "rest_url" {
  description = "The JobManager's REST API inside of Kubernetes."
  value       = "http://${var.name}-rest.${var.namespace}:8081"
}

output "others" {
  description = "What is made beside the FlinkDeployment, as JSON by name: service, ingress, metrics, monitor."
  value       = module.deployment.others
}
