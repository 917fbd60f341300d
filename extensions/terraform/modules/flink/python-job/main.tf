locals {
  python_path = concat(compact([var.py_archive_uri]), var.py_files)
  # Flink's own options go first: what follows the module is the program's.
  arguments = concat(
    var.python_executable == null ? [] : ["-pyexec", var.python_executable, "-pyclientexec", var.python_executable],
    length(local.python_path) == 0 ? [] : ["-pyfs", join(",", local.python_path)],
    length(var.py_archives) == 0 ? [] : ["-pyarch", join(",", var.py_archives)],
    ["-pym", var.py_module],
    flatten([for name, value in var.args : ["--${name}", value]]),
    var.extra_args,
  )
  # Bytes, since length() counts characters.
  manifest_bytes = floor(length(base64encode(module.job.manifest)) / 4) * 3
}

module "job" {
  source = "../session-job"

  enabled                  = var.enabled
  job_name                 = var.job_name
  namespace                = var.namespace
  session_cluster          = var.session_cluster
  entry_class              = "org.apache.flink.client.python.PythonDriver"
  arguments                = local.arguments
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
