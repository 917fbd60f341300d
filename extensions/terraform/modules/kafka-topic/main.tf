locals {
  # The same topic has the same name on every run: what Kubernetes does not take becomes hyphens, and a hash keeps names apart.
  plain = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$", var.name))
  made  = "${trim(replace(substr(lower(var.name), 0, 200), "/[^a-z0-9]+/", "-"), "-")}-${substr(sha256(var.name), 0, 8)}"
  name  = var.resource_name != null ? var.resource_name : local.plain ? var.name : trimprefix(local.made, "-")

  manifest = {
    apiVersion = "kafka.strimzi.io/v1"
    kind       = "KafkaTopic"
    metadata = merge(
      {
        name      = local.name
        namespace = var.namespace
        labels = merge(var.labels, {
          "app.kubernetes.io/part-of" = "sdp"
          "strimzi.io/cluster"        = var.cluster
        })
      },
      { for key, value in { annotations = { "strimzi.io/managed" = "false" } } : key => value if !var.managed },
    )
    spec = {
      for key, value in {
        topicName  = local.name == var.name ? null : var.name
        partitions = var.partitions
        replicas   = var.replicas
        config     = length(var.config) > 0 ? var.config : null
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
      condition     = var.replicas == null || try(tonumber(var.config["min.insync.replicas"]), 1) <= coalesce(var.replicas, 1)
      error_message = "The topic ${var.name} could not be written: min.insync.replicas ${try(var.config["min.insync.replicas"], "")} is more than its ${coalesce(var.replicas, 1)} replicas."
    }
  }
}
