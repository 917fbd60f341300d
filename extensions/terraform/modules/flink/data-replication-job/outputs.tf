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
    error_message = "The job's manifest has ${local.manifest_bytes} bytes, and may have no more than 400000, since the operator writes it twice more into the status of the same object: its columns are most of it."
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
    condition     = length(setintersection(local.names, local.taken)) == 0
    error_message = "A column has a name that the job needs itself: ${join(", ", setintersection(local.names, local.taken))}."
  }

  precondition {
    condition     = length(distinct(local.names)) == length(local.names)
    error_message = "Two columns have the same name: ${join(", ", distinct([for name in local.names : name if length([for other in local.names : other if other == name]) > 1]))}."
  }

  precondition {
    condition     = var.format != "raw" || length(local.names) == 1
    error_message = "format raw is a record as one column, and there are ${length(local.names)}: ${join(", ", local.names)}."
  }

  precondition {
    condition     = var.time_column == null || contains(local.names, coalesce(var.time_column, "-"))
    error_message = "time_column ${coalesce(var.time_column, "-")} is none of the columns: ${join(", ", local.names)}."
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
