locals {
  labels = merge(var.labels, {
    "app.kubernetes.io/name"    = var.name
    "app.kubernetes.io/part-of" = "sdp"
  })

  monitors = {
    for name, spec in {
      flink = length(var.flink_namespaces) == 0 ? null : {
        namespaceSelector = { matchNames = var.flink_namespaces }
        selector = {
          matchExpressions = [
            { key = "type", operator = "In", values = ["flink-native-kubernetes", "flink-standalone-kubernetes"] },
            { key = "app.kubernetes.io/part-of", operator = "NotIn", values = ["sdp"] },
          ]
        }
        podMetricsEndpoints = [{ port = "metrics", interval = var.scrape_interval }]
        podTargetLabels     = ["app", "component"]
      }
      operator = var.operator_namespace == null ? null : {
        namespaceSelector   = { matchNames = [var.operator_namespace] }
        selector            = { matchLabels = { "app.kubernetes.io/name" = "flink-kubernetes-operator" } }
        podMetricsEndpoints = [{ port = "metrics", interval = var.scrape_interval }]
      }
      connect = length(var.connect_namespaces) == 0 ? null : {
        namespaceSelector = { matchNames = var.connect_namespaces }
        selector = {
          matchExpressions = [
            { key = "strimzi.io/kind", operator = "In", values = ["KafkaConnect"] },
          ]
        }
        podMetricsEndpoints = [{ port = "tcp-prometheus", interval = var.scrape_interval }]
        podTargetLabels     = ["strimzi.io/cluster"]
      }
      } : "monitor-${name}" => {
      apiVersion = "monitoring.coreos.com/v1"
      kind       = "PodMonitor"
      metadata   = { name = "${var.name}-${name}", namespace = var.namespace, labels = local.labels }
      spec       = spec
    } if spec != null
  }

  rules = {
    apiVersion = "monitoring.coreos.com/v1"
    kind       = "PrometheusRule"
    metadata   = { name = var.name, namespace = var.namespace, labels = local.labels }
    spec       = { groups = local.groups }
  }

  dashboards = {
    for file in fileset("${path.module}/dashboards", "*.json") : "dashboard-${trimsuffix(file, ".json")}" => {
      apiVersion = "v1"
      kind       = "ConfigMap"
      metadata = merge(
        {
          name      = "${var.name}-dashboard-${trimsuffix(file, ".json")}"
          namespace = var.namespace
          labels    = merge(local.labels, var.dashboard_labels)
        },
        { for key, value in { annotations = { grafana_folder = var.dashboard_folder } } : key => value if var.dashboard_folder != null },
      )
      data = { (file) = file("${path.module}/dashboards/${file}") }
    }
  }

  exporters = {
    for namespace in toset(var.connect_namespaces) : "connect-metrics-${namespace}" => {
      apiVersion = "v1"
      kind       = "ConfigMap"
      metadata   = { name = "${var.name}-connect-metrics", namespace = namespace, labels = local.labels }
      data       = { "metrics-config.yml" = file("${path.module}/connect-metrics.yml") }
    }
  }

  # Encoded one by one: the manifests have no type in common.
  made = merge(
    { for name, manifest in local.monitors : name => jsonencode(manifest) },
    { rules = jsonencode(local.rules) },
    { for name, manifest in local.dashboards : name => jsonencode(manifest) },
    { for name, manifest in local.exporters : name => jsonencode(manifest) },
  )
}

resource "kubectl_manifest" "this" {
  for_each = { for name, manifest in local.made : name => manifest if var.enabled }

  yaml_body         = each.value
  server_side_apply = true
  wait              = true
}
