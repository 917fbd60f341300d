output "manifest" {
  description = "The FlinkDeployment as JSON."
  value       = jsonencode(local.manifest)
}

output "others" {
  description = "What is made beside it, as JSON by name: service, ingress, metrics, monitor."
  value       = local.made
}
