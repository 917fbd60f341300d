# The connection's translation only: there are no files.
module "connection" {
  source = "../sql-script"

  kafka = { source = var.kafka }
}

locals {
  columns = var.columns_file == null ? var.columns : [
    for column in jsondecode(file(var.columns_file)) : { name = column.name, type = column.type }
  ]
  names = [for column in local.columns : column.name]
  # The partitions', and the record's time, which the source table always has.
  taken = { none = ["record_time"], day = ["dt", "record_time"], hour = ["dt", "hr", "record_time"] }[var.partition_by]
  script = templatefile("${path.module}/replication.sql.tftpl", {
    connection = module.connection.fragments["source"]
    topic      = var.topic
    group_id   = coalesce(var.group_id, var.job_name)
    format     = var.format
    options = merge(
      { for key in ["avro-confluent.url"] : key => var.kafka["schema.registry.url"] if var.format == "avro-confluent" && can(var.kafka["schema.registry.url"]) },
      var.format_options,
    )
    columns     = local.columns
    time_column = var.time_column
    time_zone   = var.time_zone
    partitions  = { none = [], day = [["dt", "yyyy-MM-dd"]], hour = [["dt", "yyyy-MM-dd"], ["hr", "HH"]] }[var.partition_by]
    path        = trimsuffix(var.s3_path, "/")
    file_format = var.file_format
    rolling     = var.rolling_policy
  })
  # Bytes, since length() counts characters.
  manifest_bytes = floor(length(base64encode(module.job.manifest)) / 4) * 3
}

module "job" {
  source = "../session-job"

  enabled                  = var.enabled
  job_name                 = var.job_name
  namespace                = var.namespace
  session_cluster          = var.session_cluster
  entry_class              = "org.apache.flink.table.runtime.application.SqlDriver"
  arguments                = ["--script", local.script]
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
