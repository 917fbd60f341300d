output "name" {
  description = "The connector's name; null where it is not enabled."
  value       = module.connector.name
}

output "namespace" {
  description = "Its namespace."
  value       = var.namespace
}

output "topics" {
  description = "The topics that it writes, one for each of `tables`, in their order."
  value       = local.topics
}

output "slot_name" {
  description = "The replication slot, which stays in the database when the connector is gone: drop it there, or its log grows."
  value       = local.slot
}

output "manifest" {
  description = "The KafkaConnector as JSON; null where it is not enabled."
  value       = module.connector.manifest

  precondition {
    condition     = var.format != "avro" || var.schema_registry_url != null
    error_message = "The format avro needs schema_registry_url."
  }

  precondition {
    condition     = length(local.slot) <= 63
    error_message = "The replication slot ${local.slot}, made of the connector's name, has ${length(local.slot)} characters, and PostgreSQL takes 63: give slot_name."
  }
}
