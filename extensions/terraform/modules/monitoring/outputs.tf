output "manifests" {
  description = "What is made, each as JSON, by what it is; empty where it is not enabled."
  value       = { for name, manifest in local.made : name => manifest if var.enabled }
}

output "rules" {
  description = "The groups of alerting rules as JSON, which is a file of rules for Prometheus too."
  value       = jsonencode({ groups = local.groups })
}

output "connect_metrics" {
  description = "What a KafkaConnect has as its `metricsConfig`."
  value = {
    type = "jmxPrometheusExporter"
    valueFrom = {
      configMapKeyRef = { name = "${var.name}-connect-metrics", key = "metrics-config.yml" }
    }
  }
}
