output "topics" {
  description = "The topics, first that of the changes."
  value       = [local.from, local.to]
}

output "manifests" {
  description = "What is applied, by part."
  value = {
    changes = module.changes.manifest
    result  = module.result.manifest
    source  = module.source.manifest
    job     = module.job.manifest
    sink    = module.sink.manifest
  }
}
