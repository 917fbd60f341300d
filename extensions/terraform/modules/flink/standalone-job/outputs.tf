output "name" {
  description = "The job's name; null where it is not enabled."
  value       = var.enabled ? var.job_name : null
}

output "namespace" {
  description = "Its namespace."
  value       = var.namespace
}

output "manifest" {
  description = "The FlinkDeployment as JSON; null where it is not enabled."
  value       = var.enabled ? module.deployment.manifest : null

  precondition {
    condition     = local.manifest_bytes < 1000000
    error_message = "The job's manifest has ${local.manifest_bytes} bytes, and Kubernetes takes no more than 1000000: the ${var.job_type == "sql" ? "SQL script is" : "arguments are"} most of it. Move what the job does not need out of it."
  }

  precondition {
    condition     = var.savepoint_redeploy_nonce == null || var.initial_savepoint_path != null
    error_message = "savepoint_redeploy_nonce has the job begin from initial_savepoint_path, which is not set."
  }

  precondition {
    condition     = length(var.sql) > 0 == (var.job_type == "sql")
    error_message = "job_type is ${var.job_type}, and sql ${length(var.sql) > 0 ? "is set, which belongs to job_type sql" : "is empty: a SQL job needs at least the file with its INSERT"}."
  }

  precondition {
    condition     = (var.py_module != null) == (var.job_type == "python")
    error_message = "job_type is ${var.job_type}, and py_module ${var.py_module != null ? "is set, which belongs to job_type python" : "is not set"}."
  }

  precondition {
    condition     = (var.jar_uri != null) == (var.job_type == "java")
    error_message = "job_type is ${var.job_type}, and jar_uri ${var.jar_uri != null ? "is set, which belongs to job_type java" : "is not set"}."
  }

  precondition {
    condition     = var.upgrade_mode == "stateless" || try(var.checkpoint_config.s3_path, null) != null || can(var.flink_configuration["execution.checkpointing.dir"])
    error_message = "upgrade_mode ${var.upgrade_mode} needs a place for state: set checkpoint_config = { s3_path = … }, or upgrade_mode = \"stateless\"."
  }

  precondition {
    condition     = !local.high_availability || try(var.checkpoint_config.s3_path, null) != null || can(var.flink_configuration["high-availability.storageDir"])
    error_message = "high_availability needs a place for the JobManager's metadata: set checkpoint_config = { s3_path = … }."
  }
}

output "script" {
  description = "The SQL as the job runs it, for job_type sql. It holds no secret."
  value       = var.job_type == "sql" ? module.script.script : null
}

output "ui_url" {
  description = "Where Flink's UI is reached from outside; null without an Ingress."
  value       = try("${var.ingress.tls_secret == null ? "http" : "https"}://${var.ingress.host}", null)
}

output "rest_url" {
  description = "The JobManager's REST API inside of Kubernetes."
  value       = "http://${var.job_name}-rest.${var.namespace}:8081"
}

output "others" {
  description = "What is made beside the FlinkDeployment, as JSON by name: service, ingress, monitor."
  value       = module.deployment.others
}
