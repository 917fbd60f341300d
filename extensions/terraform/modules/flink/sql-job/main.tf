module "script" {
  source = "../sql-script"

  sql       = var.sql
  args      = var.args
  kafka     = var.kafka
  functions = var.functions
}

module "job" {
  source = "../session-job"

  enabled                  = var.enabled
  job_name                 = var.job_name
  namespace                = var.namespace
  session_cluster          = var.session_cluster
  entry_class              = "org.apache.flink.table.runtime.application.SqlDriver"
  arguments                = ["--script", module.script.script]
  parallelism              = var.parallelism
  state                    = var.state
  upgrade_mode             = var.upgrade_mode
  checkpoint_config        = var.checkpoint_config
  flink_configuration      = var.flink_configuration
  labels                   = var.labels
  initial_savepoint_path   = var.initial_savepoint_path
  allow_non_restored_state = var.allow_non_restored_state
  restart_nonce            = var.restart_nonce
  savepoint_trigger_nonce  = var.savepoint_trigger_nonce
  savepoint_redeploy_nonce = var.savepoint_redeploy_nonce
}

locals {
  # Bytes, since length() counts characters.
  manifest_bytes = floor(length(base64encode(module.job.manifest)) / 4) * 3
  largest_file   = reverse(sort([for file in var.sql : format("%012d %s", length(filebase64(file)), file)]))[0]
}
