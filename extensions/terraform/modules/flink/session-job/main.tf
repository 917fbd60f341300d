locals {
  checkpoints = var.checkpoint_config == null ? {} : {
    for key, value in {
      "execution.checkpointing.interval"      = var.checkpoint_config.interval
      "execution.checkpointing.timeout"       = var.checkpoint_config.timeout
      "execution.checkpointing.dir"           = try("${trimsuffix(var.checkpoint_config.s3_path, "/")}/${var.job_name}/checkpoints", null)
      "execution.checkpointing.savepoint-dir" = try("${trimsuffix(var.checkpoint_config.s3_path, "/")}/${var.job_name}/savepoints", null)
    } : key => value if value != null
  }
  configuration = merge(local.checkpoints, var.flink_configuration)

  manifest = {
    apiVersion = "flink.apache.org/v1beta1"
    kind       = "FlinkSessionJob"
    metadata = {
      name      = var.job_name
      namespace = var.namespace
      labels = merge(var.labels, {
        "app.kubernetes.io/name"    = var.job_name
        "app.kubernetes.io/part-of" = "sdp"
        "sdp.job"                   = var.job_name
      })
    }
    spec = {
      for key, value in {
        deploymentName     = var.session_cluster
        flinkConfiguration = length(local.configuration) > 0 ? local.configuration : null
        restartNonce       = var.restart_nonce
        job = {
          for key, value in {
            jarURI                 = var.jar_uri
            entryClass             = var.entry_class
            args                   = length(var.arguments) > 0 ? var.arguments : null
            parallelism            = var.parallelism
            state                  = var.state
            upgradeMode            = var.upgrade_mode
            initialSavepointPath   = var.initial_savepoint_path
            allowNonRestoredState  = var.allow_non_restored_state
            savepointTriggerNonce  = var.savepoint_trigger_nonce
            savepointRedeployNonce = var.savepoint_redeploy_nonce
          } : key => value if value != null
        }
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
