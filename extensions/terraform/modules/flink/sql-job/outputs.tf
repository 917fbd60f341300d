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
    condition     = local.manifest_bytes < 400000
    error_message = "The job's manifest has ${local.manifest_bytes} bytes, and may have no more than 400000, since the operator writes it twice more into the status of the same object: the script is most of it, and its largest file is ${substr(local.largest_file, 13, -1)}. Move what the job does not need out of it."
  }

  precondition {
    condition     = var.savepoint_redeploy_nonce == null || var.initial_savepoint_path != null
    error_message = "savepoint_redeploy_nonce has the job begin from initial_savepoint_path, which is not set."
  }
}

output "script" {
  description = "The SQL as the job runs it. It holds no secret."
  value       = module.script.script
}
