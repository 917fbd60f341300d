locals {
  manifest = {
    apiVersion = "kafka.strimzi.io/v1"
    kind       = "KafkaConnector"
    metadata = {
      name      = var.name
      namespace = var.namespace
      labels = merge(var.labels, {
        "app.kubernetes.io/name"    = var.name
        "app.kubernetes.io/part-of" = "sdp"
        "strimzi.io/cluster"        = var.cluster
      })
    }
    spec = {
      for key, value in {
        class    = var.class
        tasksMax = var.tasks_max
        state    = var.state
        version  = var.plugin_version
        autoRestart = {
          for key, value in { enabled = var.auto_restart.enabled, maxRestarts = var.auto_restart.max_restarts } : key => value if value != null
        }
        config = var.task_config
      } : key => value if value != null
    }
  }
}

resource "kubectl_manifest" "this" {
  count = var.enabled ? 1 : 0

  yaml_body         = jsonencode(local.manifest)
  server_side_apply = true
  wait              = true
}
