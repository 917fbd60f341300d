locals {
  state_path = try(trimsuffix(var.checkpoint_config.s3_path, "/"), null)
  configuration = merge(
    {
      for key, value in {
        "taskmanager.numberOfTaskSlots"         = tostring(var.task_slots)
        "execution.checkpointing.interval"      = try(var.checkpoint_config.interval, null)
        "execution.checkpointing.timeout"       = try(var.checkpoint_config.timeout, null)
        "execution.checkpointing.dir"           = local.state_path == null ? null : "${local.state_path}/${var.name}/checkpoints"
        "execution.checkpointing.savepoint-dir" = local.state_path == null ? null : "${local.state_path}/${var.name}/savepoints"
        "high-availability.type"                = var.high_availability ? "kubernetes" : null
        "high-availability.storageDir"          = var.high_availability && local.state_path != null ? "${local.state_path}/${var.name}/ha" : null
        "metrics.reporter.prom.factory.class"   = var.monitoring ? "org.apache.flink.metrics.prometheus.PrometheusReporterFactory" : null
        "metrics.reporter.prom.port"            = var.monitoring ? "9249-9260" : null
      } : key => value if value != null
    },
    var.flink_configuration,
  )

  own_labels = {
    "app.kubernetes.io/name"    = var.name
    "app.kubernetes.io/part-of" = "sdp"
    (var.label)                 = var.name
  }
  metadata = { name = var.name, namespace = var.namespace, labels = merge(var.labels, local.own_labels) }

  container = {
    for key, value in {
      name = "flink-main-container"
      env = [
        for name, from in var.secret_env : {
          name      = name
          valueFrom = { secretKeyRef = { name = from.secret, key = from.key } }
        }
      ]
      ports = [for port in [9249] : { name = "metrics", containerPort = port, protocol = "TCP" } if var.monitoring]
      volumeMounts = [
        for name, from in var.secret_files : { name = "secret-${name}", mountPath = from.path, readOnly = true }
      ]
    } : key => value if length(value) > 0
  }

  pod = {
    # Not the caller's: a label that is for Prometheus or a bill would restart the pods.
    metadata = { labels = local.own_labels }
    spec = {
      for key, value in {
        containers       = [local.container]
        volumes          = [for name, from in var.secret_files : { name = "secret-${name}", secret = { secretName = from.secret } }]
        imagePullSecrets = [for name in var.image_pull_secrets : { name = name }]
      } : key => value if length(value) > 0
    }
  }

  manifest = {
    apiVersion = "flink.apache.org/v1beta1"
    kind       = "FlinkDeployment"
    metadata   = local.metadata
    spec = {
      for key, value in {
        image              = var.flink_image
        imagePullPolicy    = var.image_pull_policy
        flinkVersion       = var.flink_version
        flinkConfiguration = local.configuration
        serviceAccount     = var.service_account
        podTemplate        = local.pod
        jobManager         = { resource = var.jm_resource }
        taskManager        = { resource = var.tm_resource }
        logConfiguration   = length(var.log_configuration) > 0 ? var.log_configuration : null
        restartNonce       = var.restart_nonce
        job                = var.job == null ? null : { for key, value in var.job : key => value if value != null }
      } : key => value if value != null
    }
  }

  ui      = "${var.name}-ui"
  metrics = "${var.name}-metrics"
  # Labels that Flink itself gives to its pods.
  selector = { app = var.name, type = "flink-native-kubernetes" }
  others = {
    service = {
      apiVersion = "v1"
      kind       = "Service"
      metadata   = merge(local.metadata, { name = local.ui })
      spec = {
        type     = "ClusterIP"
        selector = merge(local.selector, { component = "jobmanager" })
        ports    = [{ name = "http", port = 80, targetPort = 8081, protocol = "TCP" }]
      }
    }
    ingress = var.ingress == null ? null : {
      apiVersion = "networking.k8s.io/v1"
      kind       = "Ingress"
      metadata = merge(local.metadata, { name = local.ui }, {
        for key, value in { annotations = var.ingress.annotations } : key => value if length(value) > 0
      })
      spec = {
        for key, value in {
          ingressClassName = var.ingress.class_name
          tls              = var.ingress.tls_secret == null ? null : [{ hosts = [var.ingress.host], secretName = var.ingress.tls_secret }]
          rules = [{
            host = var.ingress.host
            http = {
              paths = [{
                path     = "/"
                pathType = "Prefix"
                backend  = { service = { name = local.ui, port = { name = "http" } } }
              }]
            }
          }]
        } : key => value if value != null
      }
    }
    metrics = !var.monitoring ? null : {
      apiVersion = "v1"
      kind       = "Service"
      # The UI's Service has the same labels but this one.
      metadata = merge(local.metadata, { name = local.metrics, labels = merge(local.metadata.labels, { "sdp.metrics" = var.name }) })
      spec = {
        type      = "ClusterIP"
        clusterIP = "None"
        selector  = local.selector
        ports     = [{ name = "metrics", port = 9249, targetPort = 9249, protocol = "TCP" }]
      }
    }
    monitor = !var.monitoring ? null : {
      apiVersion = "monitoring.coreos.com/v1"
      kind       = "ServiceMonitor"
      metadata   = local.metadata
      spec = {
        selector        = { matchLabels = { "sdp.metrics" = var.name } }
        endpoints       = [{ port = "metrics" }]
        podTargetLabels = [var.label]
      }
    }
  }
  made = { for name, manifest in local.others : name => jsonencode(manifest) if var.enabled && manifest != null }
}

resource "kubectl_manifest" "this" {
  count = var.enabled ? 1 : 0

  yaml_body         = jsonencode(local.manifest)
  server_side_apply = true
  wait              = true
}

resource "kubectl_manifest" "with" {
  for_each = local.made

  yaml_body         = each.value
  server_side_apply = true
}
