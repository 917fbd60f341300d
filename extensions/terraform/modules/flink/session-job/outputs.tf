output "manifest" {
  description = "The FlinkSessionJob as JSON."
  value       = jsonencode(local.manifest)
}
