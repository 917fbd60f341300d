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
    error_message = "The job's manifest has ${local.manifest_bytes} bytes, and Kubernetes takes no more than 1000000: its columns are most of it."
  }

  precondition {
    condition     = var.savepoint_redeploy_nonce == null || var.initial_savepoint_path != null
    error_message = "savepoint_redeploy_nonce has the job begin from initial_savepoint_path, which is not set."
  }

  precondition {
    condition     = length(var.columns) > 0 != (var.columns_file != null)
    error_message = "Set either columns or columns_file: ${length(var.columns) > 0 ? "both are" : "neither is"} set."
  }

  precondition {
    condition     = length(setintersection([for column in local.columns : column.name], { none = [], day = ["dt", "record_time"], hour = ["dt", "hr", "record_time"] }[var.partition_by])) == 0
    error_message = "A column has a name that the job needs itself: ${join(", ", setintersection([for column in local.columns : column.name], ["dt", "hr", "record_time"]))}."
  }

  precondition {
    condition     = var.time_column == null || contains([for column in local.columns : column.name], coalesce(var.time_column, "-"))
    error_message = "time_column ${coalesce(var.time_column, "-")} is none of the columns: ${join(", ", [for column in local.columns : column.name])}."
  }

  precondition {
    condition     = var.format != "avro-confluent" || can(var.kafka["schema.registry.url"]) || can(var.format_options["avro-confluent.url"])
    error_message = "format avro-confluent needs the schema registry's address: kafka = { \"schema.registry.url\" = … }."
  }
}

output "script" {
  description = "The SQL as the job runs it. It holds no secret."
  value       = local.script
}
