output "name" {
  description = "The connector's name; null where it is not enabled."
  value       = module.connector.name
}

output "namespace" {
  description = "Its namespace."
  value       = var.namespace
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
    condition     = !var.delete || var.key_mode == "record_key"
    error_message = "delete needs the key mode record_key: a tombstone has nothing but its key."
  }

  precondition {
    condition     = var.insert_mode == "insert" || var.key_mode != "none"
    error_message = "insert_mode ${var.insert_mode} needs a key: key_mode is none."
  }

  precondition {
    condition     = var.key_mode != "record_value" || length(var.key_fields) > 0
    error_message = "key_mode record_value needs key_fields: which fields of the value are the key."
  }
}
