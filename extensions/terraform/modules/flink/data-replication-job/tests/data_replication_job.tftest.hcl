mock_provider "kubectl" {}

variables {
  job_name        = "orders"
  session_cluster = "session"
  kafka           = { "bootstrap.servers" = "k:9092" }
  topic           = "orders"
  columns         = [{ name = "id", type = "BIGINT" }, { name = "at", type = "TIMESTAMP(3)" }]
  s3_path         = "s3://team-lake/orders/"
}

run "is_a_sql_job_from_a_topic_to_files" {
  command = plan

  assert {
    condition     = jsondecode(output.manifest).kind == "FlinkSessionJob" && jsondecode(output.manifest).spec.deploymentName == "session" && jsondecode(output.manifest).spec.job.entryClass == "org.apache.flink.table.runtime.application.SqlDriver" && jsondecode(output.manifest).spec.job.args == ["--script", output.script]
    error_message = "what it is"
  }

  assert {
    condition     = strcontains(output.script, "  'properties.bootstrap.servers' = 'k:9092',\n  'topic' = 'orders',\n  'properties.group.id' = 'orders',")
    error_message = "the connection, the topic and the group"
  }

  assert {
    condition     = strcontains(output.script, "'format' = 'json'")
    error_message = "the records' format"
  }

  assert {
    condition     = strcontains(output.script, "'path' = 's3://team-lake/orders',\n  'format' = 'parquet',")
    error_message = "place and format of the files"
  }

  assert {
    condition     = strcontains(output.script, "PARTITIONED BY (`dt`, `hr`)")
    error_message = "directories by hour"
  }

  assert {
    condition     = strcontains(output.script, "DATE_FORMAT(`record_time`, 'yyyy-MM-dd'),\n  DATE_FORMAT(`record_time`, 'HH')\nFROM")
    error_message = "by the record's time"
  }

  assert {
    condition     = strcontains(output.script, "SET 'table.local-time-zone' = 'UTC'")
    error_message = "in UTC"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration == { "execution.checkpointing.interval" = "1 min" }
    error_message = "files are finished at checkpoints"
  }
}

run "puts_files_by_day_and_a_column" {
  command = plan

  variables {
    partition_by   = "day"
    time_column    = "at"
    time_zone      = "Europe/Zurich"
    file_format    = "json"
    rolling_policy = { file_size = "64MB", interval = "5 min", compaction = true }
    group_id       = "lake"
  }

  assert {
    condition     = strcontains(output.script, "PARTITIONED BY (`dt`) WITH")
    error_message = "directories by day"
  }

  assert {
    condition     = strcontains(output.script, "DATE_FORMAT(`at`, 'yyyy-MM-dd')\nFROM")
    error_message = "by the column"
  }

  assert {
    condition     = strcontains(output.script, "SET 'table.local-time-zone' = 'Europe/Zurich'")
    error_message = "in the zone"
  }

  assert {
    condition     = strcontains(output.script, "'format' = 'json',\n  'auto-compaction' = 'true',\n  'sink.rolling-policy.file-size' = '64MB',\n  'sink.rolling-policy.rollover-interval' = '5 min',")
    error_message = "the files"
  }

  assert {
    condition     = strcontains(output.script, "'properties.group.id' = 'lake'")
    error_message = "the group"
  }
}

run "puts_files_into_one_directory" {
  command = plan

  variables {
    partition_by = "none"
  }

  assert {
    condition     = !strcontains(output.script, "PARTITIONED") && !strcontains(output.script, "DATE_FORMAT")
    error_message = "no directories"
  }

  assert {
    condition     = strcontains(output.script, "  `at`\nFROM replicated_topic")
    error_message = "the last column"
  }
}

run "takes_columns_from_a_file" {
  command = plan

  variables {
    columns      = []
    columns_file = "tests/columns.json"
  }

  assert {
    condition     = strcontains(output.script, "  `lines` ARRAY<ROW<sku STRING, n INT>>,\n")
    error_message = "a column of the file"
  }
}

run "finds_the_registry" {
  command = plan

  variables {
    format         = "avro-confluent"
    kafka          = { "bootstrap.servers" = "k:9092", "schema.registry.url" = "http://r:8081" }
    format_options = { "avro-confluent.subject" = "it's" }
  }

  assert {
    condition     = strcontains(output.script, "  'avro-confluent.subject' = 'it''s',\n  'avro-confluent.url' = 'http://r:8081',\n  'format' = 'avro-confluent'")
    error_message = "the options"
  }
}

run "passes_on_what_it_is_told" {
  command = plan

  variables {
    namespace                = "team"
    parallelism              = 4
    state                    = "suspended"
    upgrade_mode             = "last-state"
    labels                   = { team = "risk" }
    initial_savepoint_path   = "s3://bucket/savepoints/savepoint-1"
    allow_non_restored_state = true
    restart_nonce            = 2
    savepoint_trigger_nonce  = 3
    savepoint_redeploy_nonce = 4
    flink_configuration      = { "table.exec.state.ttl" = "1 h", "execution.checkpointing.interval" = "5 s" }
    checkpoint_config        = { interval = "30 s", timeout = "10 min", s3_path = "s3://team-flink/state/" }
  }

  assert {
    condition     = jsondecode(output.manifest).metadata.namespace == "team" && output.namespace == "team"
    error_message = "the namespace"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.job.parallelism == 4 && jsondecode(output.manifest).spec.job.state == "suspended" && jsondecode(output.manifest).spec.job.upgradeMode == "last-state"
    error_message = "parallelism, state and upgrade mode"
  }

  assert {
    condition     = jsondecode(output.manifest).metadata.labels == { team = "risk", "app.kubernetes.io/name" = "orders", "app.kubernetes.io/part-of" = "sdp", "sdp.job" = "orders" }
    error_message = "the labels"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.job.initialSavepointPath == "s3://bucket/savepoints/savepoint-1" && jsondecode(output.manifest).spec.job.allowNonRestoredState == true
    error_message = "what it begins from"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.restartNonce == 2 && jsondecode(output.manifest).spec.job.savepointTriggerNonce == 3 && jsondecode(output.manifest).spec.job.savepointRedeployNonce == 4
    error_message = "the nonces"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration["table.exec.state.ttl"] == "1 h"
    error_message = "the caller's configuration"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration["execution.checkpointing.interval"] == "5 s"
    error_message = "the caller's configuration goes before the module's"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration["execution.checkpointing.timeout"] == "10 min"
    error_message = "the timeout"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration["execution.checkpointing.dir"] == "s3://team-flink/state/orders/checkpoints"
    error_message = "where checkpoints go"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration["execution.checkpointing.savepoint-dir"] == "s3://team-flink/state/orders/savepoints"
    error_message = "where savepoints go"
  }
}

run "makes_nothing_where_it_is_not_enabled" {
  command = plan

  variables {
    enabled = false
  }

  assert {
    condition     = output.name == null && output.manifest == null
    error_message = "nothing is made"
  }
}

run "refuses_neither_columns_nor_a_file" {
  command = plan

  variables {
    columns = []
  }

  expect_failures = [output.manifest]
}

run "refuses_both_columns_and_a_file" {
  command = plan

  variables {
    columns_file = "tests/columns.json"
  }

  expect_failures = [output.manifest]
}

run "refuses_a_column_of_its_own" {
  command = plan

  variables {
    columns = [{ name = "dt", type = "STRING" }]
  }

  expect_failures = [output.manifest]
}

run "refuses_a_time_column_that_is_not_there" {
  command = plan

  variables {
    time_column = "when"
  }

  expect_failures = [output.manifest]
}

run "refuses_avro_without_a_registry" {
  command = plan

  variables {
    format = "avro-confluent"
  }

  expect_failures = [output.manifest]
}

run "refuses_a_missing_file" {
  command = plan

  variables {
    columns      = []
    columns_file = "tests/none.json"
  }

  expect_failures = [var.columns_file]
}

run "refuses_a_file_that_is_no_list_of_columns" {
  command = plan

  variables {
    columns      = []
    columns_file = "tests/wrong.json"
  }

  expect_failures = [var.columns_file]
}

run "refuses_columns_that_kubernetes_does_not_take" {
  command = plan

  variables {
    columns = [for i in range(0, 1000) : { name = "c${i}", type = "ROW<${join(", ", [for j in range(0, 100) : "field_${j} BIGINT"])}>" }]
  }

  expect_failures = [output.manifest]
}

run "refuses_two_columns_of_one_name_in_a_file" {
  command = plan

  variables {
    columns      = []
    columns_file = "tests/twice.json"
  }

  expect_failures = [output.manifest]
}

run "refuses_a_second_time_of_the_record" {
  command = plan

  variables {
    partition_by = "none"
    columns      = [{ name = "record_time", type = "BIGINT" }]
  }

  expect_failures = [output.manifest]
}

run "refuses_raw_records_of_several_columns" {
  command = plan

  variables {
    format  = "raw"
    columns = [{ name = "a", type = "STRING" }, { name = "b", type = "STRING" }]
  }

  expect_failures = [output.manifest]
}

run "refuses_half_a_redeployment" {
  command = plan

  variables {
    savepoint_redeploy_nonce = 0.5
    initial_savepoint_path   = "s3://b/s"
  }

  expect_failures = [var.savepoint_redeploy_nonce]
}

run "refuses_a_redeployment_from_nowhere" {
  command = plan

  variables {
    savepoint_redeploy_nonce = 1
  }

  expect_failures = [output.manifest]
}

run "refuses_wrong_values" {
  command = plan

  variables {
    columns                 = [{ name = "id", type = "BIGINT); DROP" }]
    topic                   = "a b"
    group_id                = "a b"
    format                  = "xml"
    format_options          = { "a'" = "x" }
    s3_path                 = "/data"
    file_format             = "orc"
    partition_by            = "week"
    time_zone               = "UTC'"
    rolling_policy          = { file_size = "128" }
    kafka                   = {}
    job_name                = "Orders"
    namespace               = "my_space"
    flink_configuration     = { "kubernetes.cluster-id" = "x" }
    checkpoint_config       = { interval = "30" }
    labels                  = { team = "a b" }
    restart_nonce           = 1.5
    parallelism             = 0
    state                   = "paused"
    upgrade_mode            = "last_state"
    initial_savepoint_path  = "savepoint-1"
    savepoint_trigger_nonce = 0.5
    session_cluster         = "Session"
  }

  expect_failures = [var.columns, var.topic, var.group_id, var.format, var.format_options, var.s3_path, var.file_format, var.partition_by, var.time_zone, var.rolling_policy, var.kafka, var.job_name, var.namespace, var.flink_configuration, var.checkpoint_config, var.labels, var.restart_nonce, var.parallelism, var.state, var.upgrade_mode, var.initial_savepoint_path, var.savepoint_trigger_nonce, var.session_cluster]
}

run "refuses_wrong_values_2" {
  command = plan

  variables {
    columns             = [{ name = "i`d", type = "BIGINT" }]
    format_options      = { "avro-confluent.basic-auth.password" = "x" }
    s3_path             = "s3://it's"
    kafka               = { "bootstrap.servers" = "k:9092", "sasl.password" = "hunter2" }
    job_name            = "orders-"
    flink_configuration = { "s3.secret-key" = "hunter2" }
    checkpoint_config   = { timeout = "0 s" }
    parallelism         = 1.5
  }

  expect_failures = [var.columns, var.format_options, var.s3_path, var.kafka, var.job_name, var.flink_configuration, var.checkpoint_config, var.parallelism]
}

run "refuses_wrong_values_3" {
  command = plan

  variables {
    columns           = [{ name = "a", type = "INT" }, { name = "a", type = "INT" }]
    kafka             = { "bootstrap.servers" = "k:9092", "sasl.password" = "file:pw" }
    job_name          = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    checkpoint_config = { s3_path = "team-flink/state" }
  }

  expect_failures = [var.columns, var.kafka, var.job_name, var.checkpoint_config]
}
