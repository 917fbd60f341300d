module "script" {
  source = "../sql-script"

  sql       = var.sql
  args      = var.job_type == "sql" ? var.args : {}
  kafka     = var.kafka
  functions = var.functions
}

locals {
  python_path = concat(compact([var.py_archive_uri]), var.py_files)
  arguments = {
    sql = ["--script", module.script.script]
    # Flink's own options go first: what follows the module is the program's.
    python = concat(
      var.python_executable == null ? [] : ["-pyexec", var.python_executable, "-pyclientexec", var.python_executable],
      length(local.python_path) == 0 ? [] : ["-pyfs", join(",", local.python_path)],
      length(var.py_archives) == 0 ? [] : ["-pyarch", join(",", var.py_archives)],
      ["-pym", coalesce(var.py_module, "-")],
      flatten([for name, value in var.args : ["--${name}", value]]),
      var.extra_args,
    )
    java = concat(
      flatten([for name, value in var.args : ["--${name}", value]]),
      var.extra_args,
    )
  }
  entry_class = {
    sql    = "org.apache.flink.table.runtime.application.SqlDriver"
    python = "org.apache.flink.client.python.PythonDriver"
    java   = var.entry_class
  }
  high_availability = coalesce(var.high_availability, var.upgrade_mode == "last-state")
  # Bytes, since length() counts characters.
  manifest_bytes = floor(length(base64encode(module.deployment.manifest)) / 4) * 3
}

module "deployment" {
  source = "../deployment"

  name                = var.job_name
  label               = "sdp.job"
  high_availability   = local.high_availability
  enabled             = var.enabled
  namespace           = var.namespace
  flink_image         = var.flink_image
  flink_version       = var.flink_version
  image_pull_policy   = var.image_pull_policy
  image_pull_secrets  = var.image_pull_secrets
  service_account     = var.service_account
  tm_resource         = var.tm_resource
  jm_resource         = var.jm_resource
  task_slots          = var.task_slots
  checkpoint_config   = var.checkpoint_config
  flink_configuration = var.flink_configuration
  secret_env          = var.secret_env
  secret_files        = var.secret_files
  ingress             = var.ingress
  monitoring          = var.monitoring
  log_configuration   = var.log_configuration
  labels              = var.labels
  restart_nonce       = var.restart_nonce

  job = {
    jarURI                 = var.jar_uri
    entryClass             = local.entry_class[var.job_type]
    args                   = length(local.arguments[var.job_type]) > 0 ? local.arguments[var.job_type] : null
    parallelism            = var.parallelism
    state                  = var.state
    upgradeMode            = var.upgrade_mode
    initialSavepointPath   = var.initial_savepoint_path
    allowNonRestoredState  = var.allow_non_restored_state
    savepointTriggerNonce  = var.savepoint_trigger_nonce
    savepointRedeployNonce = var.savepoint_redeploy_nonce
  }
}
