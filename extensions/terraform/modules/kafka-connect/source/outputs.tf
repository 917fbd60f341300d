output "name" {
  description = "The connector's name; null where it is not enabled."
  value       = var.enabled ? var.name : null
}

output "namespace" {
  description = "Its namespace."
  value       = var.namespace
}

output "topics" {
  description = "The topics that it writes, as they were given."
  value       = var.topics
}

output "manifest" {
  description = "The KafkaConnector as JSON; null where it is not enabled."
  value       = var.enabled ? jsonencode(local.manifest) : null
}
