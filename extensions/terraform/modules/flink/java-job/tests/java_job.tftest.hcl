mock_provider "kubectl" {}

variables {
  job_name        = "orders"
  session_cluster = "session"
  jar_uri         = "https://example.com/orders.jar"
}

run "is_a_job_of_a_jar" {
  command = plan

  assert {
    condition     = jsondecode(output.manifest).apiVersion == "flink.apache.org/v1beta1" && jsondecode(output.manifest).kind == "FlinkSessionJob"
    error_message = "what it is"
  }

  assert {
    condition     = jsondecode(output.manifest).metadata.name == "orders" && jsondecode(output.manifest).metadata.namespace == "flink" && output.name == "orders"
    error_message = "its name"
  }

  assert {
    condition     = toset(keys(jsondecode(output.manifest).spec)) == toset(["deploymentName", "job"])
    error_message = "nothing that was not asked for"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.deploymentName == "session"
    error_message = "its session cluster"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.job.parallelism == 1 && jsondecode(output.manifest).spec.job.state == "running" && jsondecode(output.manifest).spec.job.upgradeMode == "savepoint"
    error_message = "the defaults"
  }

  assert {
    condition     = toset(keys(jsondecode(output.manifest).spec.job)) == toset(["jarURI", "parallelism", "state", "upgradeMode"])
    error_message = "nothing that was not asked for"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.job.jarURI == "https://example.com/orders.jar"
    error_message = "the jar"
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

run "names_the_class_and_its_arguments" {
  command = plan

  variables {
    entry_class = "com.example.Orders$Main"
    args        = { to = "b", from = "a" }
    extra_args  = ["it's"]
  }

  assert {
    condition     = jsondecode(output.manifest).spec.job.entryClass == "com.example.Orders$Main" && jsondecode(output.manifest).spec.job.args == ["--from", "a", "--to", "b", "it's"]
    error_message = "the class and the arguments"
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

run "refuses_arguments_that_kubernetes_does_not_take" {
  command = plan

  variables {
    extra_args = [for i in range(0, 1000) : join("", [for j in range(0, 1100 / 10) : "1234567890"])]
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

run "takes_a_query_behind_the_jar" {
  command = plan

  variables {
    jar_uri = "https://example.com/orders.jar?version=2"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.job.jarURI == "https://example.com/orders.jar?version=2"
    error_message = "the jar with its query"
  }
}

run "refuses_a_file_of_the_operator" {
  command = plan

  variables {
    jar_uri = "file:///tmp/orders.jar"
  }

  expect_failures = [var.jar_uri]
}

run "refuses_wrong_values" {
  command = plan

  variables {
    jar_uri                 = "orders.jar"
    entry_class             = "com.my-team.Orders"
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
    args                    = { symbol = "it's" }
  }

  expect_failures = [var.jar_uri, var.entry_class, var.job_name, var.namespace, var.flink_configuration, var.checkpoint_config, var.labels, var.restart_nonce, var.parallelism, var.state, var.upgrade_mode, var.initial_savepoint_path, var.savepoint_trigger_nonce, var.session_cluster, var.args]
}

run "refuses_wrong_values_2" {
  command = plan

  variables {
    jar_uri             = "local:///opt/flink/usrlib/orders.jar"
    job_name            = "orders-"
    flink_configuration = { "s3.secret-key" = "hunter2" }
    checkpoint_config   = { timeout = "0 s" }
    parallelism         = 1.5
    args                = { symbol = null }
  }

  expect_failures = [var.jar_uri, var.job_name, var.flink_configuration, var.checkpoint_config, var.parallelism, var.args]
}

run "refuses_wrong_values_3" {
  command = plan

  variables {
    job_name          = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    checkpoint_config = { s3_path = "team-flink/state" }
    args              = { "a b" = "x" }
  }

  expect_failures = [var.job_name, var.checkpoint_config, var.args]
}
