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
        config = merge(
          { for key, value in {
            topics                                          = length(var.topics) > 0 ? join(",", var.topics) : null
            "topics.regex"                                  = var.topics_regex
            "errors.tolerance"                              = var.dead_letter_topic == null ? null : "all"
            "errors.deadletterqueue.topic.name"             = var.dead_letter_topic
            "errors.deadletterqueue.context.headers.enable" = var.dead_letter_topic == null ? null : "true"
          } : key => value if value != null },
          var.task_config,
        )
      } : key => value if value != null
    }
  }
}

resource "kubectl_manifest" "this" {
  count = var.enabled ? 1 : 0

  yaml_body         = jsonencode(local.manifest)
  server_side_apply = true
  wait              = true

  lifecycle {
    precondition {
      condition     = (length(var.topics) > 0) != (var.topics_regex != null)
      error_message = "The connector ${var.name} reads either topics or topics_regex: exactly one of them has to be given."
    }
  }
}
