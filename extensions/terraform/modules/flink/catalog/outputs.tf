output "name" {
  description = "The ConfigMap's name; null where it is not enabled."
  value       = var.enabled ? var.name : null
}

output "namespace" {
  description = "Its namespace."
  value       = var.namespace
}

output "keys" {
  description = "The ConfigMap's keys: FOLDER--NAME.sql for each declaration."
  value       = keys(local.data)
}

output "manifest" {
  description = "The ConfigMap as JSON; null where it is not enabled."
  value       = var.enabled ? jsonencode(local.manifest) : null

  precondition {
    condition     = local.manifest_bytes < 1000000
    error_message = "The catalog has ${local.manifest_bytes} bytes, and a ConfigMap takes no more than 1000000; its largest file is ${try(substr(local.sizes[0], 13, -1), "not there")}. Make two catalogs of it."
  }
}
