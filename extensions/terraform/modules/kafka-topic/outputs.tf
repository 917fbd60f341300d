output "name" {
  description = "The topic's name in Kafka; null where it is not enabled."
  value       = var.enabled ? var.name : null
}

output "resource_name" {
  description = "The KafkaTopic's name in Kubernetes."
  value       = local.name
}

output "namespace" {
  description = "Its namespace."
  value       = var.namespace
}

output "manifest" {
  description = "The KafkaTopic as JSON; null where it is not enabled."
  value       = var.enabled ? jsonencode(local.manifest) : null
}
