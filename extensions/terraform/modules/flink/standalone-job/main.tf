module "script" {
  source = "../sql-script"

  sql       = var.sql
  args      = var.job_type == "sql" ? var.args : {}
  kafka     = var.kafka
  functions = var.functions
}

locals {
  # In application mode Flink's client asks for a jar's name, also where the class is Flink's own; this one is in
  # every image of Flink, whatever its version.
  some_jar    = "local:///opt/flink/examples/streaming/TopSpeedWindowing.jar"
  jar_uri     = { sql = coalesce(var.jar_uri, local.some_jar), python = null, java = var.jar_uri }[var.job_type]
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
  s3_path = try(var.checkpoint_config.s3_path, null)
  high_availability = coalesce(
    var.high_availability,
    var.upgrade_mode == "last-state" || (var.upgrade_mode == "savepoint" && local.s3_path != null),
  )

  # Where state goes, by the keys that Flink has and had for it.
  configured = [for key, value in var.flink_configuration : key if try(trimspace(value), "") != ""]
  has_place = {
    for name, keys in {
      checkpoints = ["execution.checkpointing.dir", "state.checkpoints.dir"]
      savepoints  = ["execution.checkpointing.savepoint-dir", "state.savepoints.dir"]
      metadata    = ["high-availability.storageDir"]
    } : name => var.directories_by_operator || local.s3_path != null || length(setintersection(keys, local.configured)) > 0
  }

  # Arguments of other types of jobs.
  given = {
    sql               = length(var.sql) > 0
    kafka             = length(var.kafka) > 0
    functions         = var.functions != null
    py_module         = var.py_module != null
    py_archive_uri    = var.py_archive_uri != null
    py_files          = length(var.py_files) > 0
    py_archives       = length(var.py_archives) > 0
    python_executable = var.python_executable != null
    jar_uri           = var.jar_uri != null
    entry_class       = var.entry_class != null
    extra_args        = length(var.extra_args) > 0
  }
  own = {
    sql    = ["sql", "kafka", "functions", "jar_uri"]
    python = ["py_module", "py_archive_uri", "py_files", "py_archives", "python_executable", "extra_args"]
    java   = ["jar_uri", "entry_class", "extra_args"]
  }[var.job_type]
  foreign = [for name, given in local.given : name if given && !contains(local.own, name)]

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
    jarURI                 = local.jar_uri
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
