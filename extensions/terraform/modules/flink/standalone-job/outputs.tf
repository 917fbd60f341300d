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
    condition     = local.manifest_bytes < 400000
    error_message = "The job's manifest has ${local.manifest_bytes} bytes, and may have no more than 400000, since the operator writes it twice more into the status of the same object: the ${var.job_type == "sql" ? "SQL script is" : "arguments are"} most of it. Move what the job does not need out of it."
  }

  precondition {
    condition     = var.savepoint_redeploy_nonce == null || var.initial_savepoint_path != null
    error_message = "savepoint_redeploy_nonce has the job begin from initial_savepoint_path, which is not set."
  }

  precondition {
    condition     = length(local.foreign) == 0
    error_message = "job_type is ${var.job_type}, which takes no ${join(", ", local.foreign)}: it takes ${join(", ", local.own)} beside what all jobs take."
  }

  precondition {
    condition     = var.job_type != "sql" || length(var.sql) > 0
    error_message = "job_type is sql, and sql is empty: a SQL job needs at least the file with its INSERT."
  }

  precondition {
    condition     = var.job_type != "python" || var.py_module != null
    error_message = "job_type is python, and py_module is not set."
  }

  precondition {
    condition     = var.job_type != "java" || var.jar_uri != null
    error_message = "job_type is java, and jar_uri is not set."
  }

  precondition {
    condition     = var.upgrade_mode == "stateless" || local.has_place.checkpoints
    error_message = "upgrade_mode ${var.upgrade_mode} needs a place for checkpoints: set checkpoint_config = { s3_path = … }, execution.checkpointing.dir in flink_configuration, directories_by_operator = true where the operator's own configuration has it, or upgrade_mode = \"stateless\"."
  }

  precondition {
    condition     = !(var.upgrade_mode == "savepoint" || var.savepoint_trigger_nonce != null) || local.has_place.savepoints
    error_message = "${var.upgrade_mode == "savepoint" ? "upgrade_mode savepoint" : "savepoint_trigger_nonce"} needs a place for savepoints: set checkpoint_config = { s3_path = … }, execution.checkpointing.savepoint-dir in flink_configuration, or directories_by_operator = true where the operator's own configuration has it."
  }

  precondition {
    condition     = !local.high_availability || local.has_place.metadata
    error_message = "${var.high_availability == null ? "upgrade_mode last-state" : "high_availability"} needs a place for the JobManager's metadata: set checkpoint_config = { s3_path = … }, high-availability.storageDir in flink_configuration, or directories_by_operator = true where the operator's own configuration has it."
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
  description = "What is made beside the FlinkDeployment, as JSON by name: service, ingress, metrics, monitor."
  value       = module.deployment.others
}
