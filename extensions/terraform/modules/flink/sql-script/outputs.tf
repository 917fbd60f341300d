output "script" {
  description = "The files' text in their order, filled in."
  value       = join("\n", [for file in var.sql : templatefile(file, local.values)])
}

output "fragments" {
  description = "What `$${kafka.ALIAS}` stands for, by alias: a connection as options of a WITH clause. It holds no secret."
  value       = local.fragments
}

output "registries" {
  description = "What `$${registry.ALIAS}` stands for, by alias: the schema registry's address in quotes."
  value       = local.registries
}
