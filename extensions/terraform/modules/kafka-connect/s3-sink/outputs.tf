output "name" {
  description = "The connector's name; null where it is not enabled."
  value       = module.connector.name
}

output "namespace" {
  description = "Its namespace."
  value       = var.namespace
}

output "location" {
  description = "Where objects go."
  value       = "s3://${var.bucket}/${var.prefix}"
}

output "consumer_group" {
  description = "The consumer group whose lag is how far it is behind; `%topic` shows it."
  value       = module.connector.consumer_group
}

output "manifest" {
  description = "The KafkaConnector as JSON; null where it is not enabled."
  value       = module.connector.manifest

  precondition {
    condition     = var.format != "avro" || var.schema_registry_url != null
    error_message = "The format avro needs schema_registry_url."
  }

  precondition {
    condition     = (var.access_key_id == null) == (var.secret_access_key == null)
    error_message = "access_key_id and secret_access_key belong together: give both or none."
  }

  precondition {
    condition     = var.role_arn == null || var.access_key_id == null
    error_message = "role_arn stands in place of access_key_id and secret_access_key."
  }

  precondition {
    condition     = !contains(["avro", "parquet"], var.output) || var.format != "json"
    error_message = "The output ${var.output} needs types, which JSON does not have: format is json."
  }
}
