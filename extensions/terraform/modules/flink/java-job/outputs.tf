output "name" {
  description = "The job's name; null where it is not enabled."
  value       = var.enabled ? var.job_name : null
}

output "namespace" {
  description = "Its namespace."
  value       = var.namespace
}

output "manifest" {
  description = "The FlinkSessionJob as JSON; null where it is not enabled."
  value       = var.enabled ? module.job.manifest : null

  precondition {
    condition     = local.manifest_bytes < 1000000
    error_message = "The job's manifest has ${local.manifest_bytes} bytes, and Kubernetes takes no more than 1000000: its arguments are most of it. Pass the place of a file in their stead."
  }

  precondition {
    condition     = var.savepoint_redeploy_nonce == null || var.initial_savepoint_path != null
    error_message = "savepoint_redeploy_nonce has the job begin from initial_savepoint_path, which is not set."
  }
}
