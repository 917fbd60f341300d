output "name" {
  description = "The connector's name; null where it is not enabled."
  value       = var.enabled ? var.name : null
}

output "namespace" {
  description = "Its namespace."
  value       = var.namespace
}

output "topics" {
  description = "The topics that it reads."
  value       = var.topics
}

output "consumer_group" {
  description = "The consumer group whose lag is how far it is behind; `%topic` shows it."
  value       = "connect-${var.name}"
}

output "manifest" {
  description = "The KafkaConnector as JSON; null where it is not enabled."
  value       = var.enabled ? jsonencode(local.manifest) : null
}
