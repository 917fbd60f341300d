mock_provider "kubectl" {}

variables {
  job_name          = "orders"
  job_type          = "java"
  jar_uri           = "local:///opt/flink/usrlib/orders.jar"
  flink_image       = "registry.example.com/team/flink:2.3.0"
  checkpoint_config = { s3_path = "s3://team-flink/state" }
}

run "is_a_cluster_of_its_own_with_a_jar" {
  command = plan

  assert {
    condition     = jsondecode(output.manifest).apiVersion == "flink.apache.org/v1beta1" && jsondecode(output.manifest).kind == "FlinkDeployment" && jsondecode(output.manifest).metadata.name == "orders" && jsondecode(output.manifest).metadata.namespace == "flink"
    error_message = "what it is"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.job == { jarURI = "local:///opt/flink/usrlib/orders.jar", parallelism = 1, state = "running", upgradeMode = "savepoint" }
    error_message = "its job"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkVersion == "v2_3" && jsondecode(output.manifest).spec.serviceAccount == "flink" && jsondecode(output.manifest).spec.taskManager.resource == { cpu = 1, memory = "2g" } && jsondecode(output.manifest).spec.jobManager.resource == { cpu = 1, memory = "1600m" }
    error_message = "the defaults"
  }

  assert {
    condition     = !can(jsondecode(output.manifest).spec.podTemplate.spec.volumes) && !can(jsondecode(output.manifest).spec.podTemplate.spec.containers[0].env) && !can(jsondecode(output.manifest).spec.logConfiguration)
    error_message = "nothing that was not asked for"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration["high-availability.type"] == "kubernetes"
    error_message = "high availability, since there is a place for it"
  }
}

run "runs_a_java_class" {
  command = plan

  variables {
    entry_class = "com.example.Orders"
    args        = { to = "b", max-size = "1", functions = "2" }
    extra_args  = ["c"]
  }

  assert {
    condition     = jsondecode(output.manifest).spec.job.entryClass == "com.example.Orders" && jsondecode(output.manifest).spec.job.args == ["--functions", "2", "--max-size", "1", "--to", "b", "c"]
    error_message = "class and arguments"
  }
}

run "runs_sql" {
  command = plan

  variables {
    job_type = "sql"
    jar_uri  = null
    sql      = ["tests/job.sql"]
    args     = { symbol = "ACME" }
  }

  assert {
    condition     = jsondecode(output.manifest).spec.job.entryClass == "org.apache.flink.table.runtime.application.SqlDriver" && jsondecode(output.manifest).spec.job.jarURI == "local:///opt/flink/examples/streaming/TopSpeedWindowing.jar"
    error_message = "the driver, and a jar that every image has"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.job.args == ["--script", "INSERT INTO t SELECT 'ACME';\n"] && output.script == "INSERT INTO t SELECT 'ACME';\n"
    error_message = "the script"
  }
}

run "runs_sql_with_another_jar_of_the_image" {
  command = plan

  variables {
    job_type = "sql"
    jar_uri  = "local:///opt/flink/usrlib/any.jar"
    sql      = ["tests/job.sql"]
    args     = { symbol = "ACME" }
  }

  assert {
    condition     = jsondecode(output.manifest).spec.job.jarURI == "local:///opt/flink/usrlib/any.jar"
    error_message = "that jar"
  }
}

run "runs_python" {
  command = plan

  variables {
    job_type       = "python"
    jar_uri        = null
    py_module      = "jobs.orders"
    py_archive_uri = "s3://team/jobs.zip"
    args           = { a-b = "b" }
  }

  assert {
    condition     = jsondecode(output.manifest).spec.job.entryClass == "org.apache.flink.client.python.PythonDriver" && !can(jsondecode(output.manifest).spec.job.jarURI) && jsondecode(output.manifest).spec.job.args == ["-pyfs", "s3://team/jobs.zip", "-pym", "jobs.orders", "--a-b", "b"]
    error_message = "the driver and its arguments"
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
    condition     = jsondecode(output.manifest).spec.podTemplate.metadata.labels == { "app.kubernetes.io/name" = "orders", "app.kubernetes.io/part-of" = "sdp", "sdp.job" = "orders" }
    error_message = "none of the caller's on the pods"
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

run "passes_on_what_its_pods_are" {
  command = plan

  variables {
    image_pull_policy  = "Always"
    image_pull_secrets = ["registry"]
    service_account    = "jobs"
    tm_resource        = { cpu = 2.5, memory = "4g" }
    jm_resource        = { cpu = 0.5, memory = "2048m" }
    task_slots         = 2
    flink_version      = "v2_2"
    secret_env         = { KAFKA_PASSWORD = { secret = "orders-kafka", key = "password" } }
    secret_files       = { kafka-ca = { secret = "main-cluster-ca-cert", path = "/etc/kafka" } }
    log_configuration  = { "log4j-console.properties" = "rootLogger.level = INFO" }
  }

  assert {
    condition     = jsondecode(output.manifest).spec.image == "registry.example.com/team/flink:2.3.0" && jsondecode(output.manifest).spec.imagePullPolicy == "Always" && jsondecode(output.manifest).spec.flinkVersion == "v2_2"
    error_message = "the image"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.podTemplate.spec.imagePullSecrets == [{ name = "registry" }]
    error_message = "what it is pulled with"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.serviceAccount == "jobs"
    error_message = "the service account"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.taskManager.resource == { cpu = 2.5, memory = "4g" } && jsondecode(output.manifest).spec.jobManager.resource == { cpu = 0.5, memory = "2048m" }
    error_message = "resources"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration["taskmanager.numberOfTaskSlots"] == "2"
    error_message = "task slots"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.podTemplate.spec.containers[0].name == "flink-main-container"
    error_message = "Flink's own container"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.podTemplate.spec.containers[0].env == [{ name = "KAFKA_PASSWORD", valueFrom = { secretKeyRef = { name = "orders-kafka", key = "password" } } }]
    error_message = "a variable from a secret"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.podTemplate.spec.containers[0].volumeMounts == [{ name = "secret-kafka-ca", mountPath = "/etc/kafka", readOnly = true }]
    error_message = "a secret's directory"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.podTemplate.spec.volumes == [{ name = "secret-kafka-ca", secret = { secretName = "main-cluster-ca-cert" } }]
    error_message = "and its volume"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.logConfiguration == { "log4j-console.properties" = "rootLogger.level = INFO" }
    error_message = "the logging"
  }
}

run "keeps_metadata_for_last_state" {
  command = plan

  variables {
    upgrade_mode = "last-state"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration["high-availability.type"] == "kubernetes" && jsondecode(output.manifest).spec.flinkConfiguration["high-availability.storageDir"] == "s3://team-flink/state/orders/ha"
    error_message = "high availability"
  }
}

run "keeps_no_metadata_of_a_job_without_state" {
  command = plan

  variables {
    upgrade_mode = "stateless"
  }

  assert {
    condition     = !can(jsondecode(output.manifest).spec.flinkConfiguration["high-availability.type"])
    error_message = "no high availability"
  }
}

run "keeps_metadata_where_it_is_told_so" {
  command = plan

  variables {
    upgrade_mode      = "stateless"
    high_availability = true
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration["high-availability.type"] == "kubernetes"
    error_message = "high availability"
  }
}

run "keeps_none_where_it_is_told_so" {
  command = plan

  variables {
    high_availability = false
    upgrade_mode      = "last-state"
  }

  assert {
    condition     = !can(jsondecode(output.manifest).spec.flinkConfiguration["high-availability.type"])
    error_message = "no high availability"
  }
}

run "makes_nothing_where_it_is_not_enabled" {
  command = plan

  variables {
    enabled = false
  }

  assert {
    condition     = output.name == null && output.manifest == null && length(output.others) == 0
    error_message = "nothing is made"
  }
}

run "refuses_sql_without_files" {
  command = plan

  variables {
    job_type = "sql"
    jar_uri  = null
  }

  expect_failures = [output.manifest]
}

run "refuses_python_without_a_module" {
  command = plan

  variables {
    job_type = "python"
    jar_uri  = null
  }

  expect_failures = [output.manifest]
}

run "refuses_java_without_a_jar" {
  command = plan

  variables {
    jar_uri = null
  }

  expect_failures = [output.manifest]
}

run "refuses_java_with_a_module" {
  command = plan

  variables {
    py_module = "a"
  }

  expect_failures = [output.manifest]
}

run "refuses_python_with_a_jar" {
  command = plan

  variables {
    job_type  = "python"
    py_module = "jobs.orders"
  }

  expect_failures = [output.manifest]
}

run "refuses_sql_with_arguments_of_a_program" {
  command = plan

  variables {
    job_type   = "sql"
    jar_uri    = null
    sql        = ["tests/job.sql"]
    args       = { symbol = "ACME" }
    extra_args = ["--to", "b"]
  }

  expect_failures = [output.manifest]
}

run "refuses_java_with_kafka" {
  command = plan

  variables {
    kafka = { main = { "bootstrap.servers" = "k:9092" } }
  }

  expect_failures = [output.manifest]
}

run "refuses_state_without_a_place" {
  command = plan

  variables {
    checkpoint_config = null
  }

  expect_failures = [output.manifest]
}

run "refuses_savepoints_without_a_place" {
  command = plan

  variables {
    checkpoint_config   = null
    flink_configuration = { "execution.checkpointing.dir" = "s3://b/checkpoints", "state.savepoints.dir" = "" }
  }

  expect_failures = [output.manifest]
}

run "refuses_a_savepoint_without_a_place" {
  command = plan

  variables {
    checkpoint_config       = null
    upgrade_mode            = "stateless"
    savepoint_trigger_nonce = 1
  }

  expect_failures = [output.manifest]
}

run "refuses_last_state_without_a_place_for_metadata" {
  command = plan

  variables {
    checkpoint_config   = null
    upgrade_mode        = "last-state"
    flink_configuration = { "state.checkpoints.dir" = "s3://b/checkpoints" }
  }

  expect_failures = [output.manifest]
}

run "takes_places_by_flink_s_own_keys" {
  command = plan

  variables {
    checkpoint_config       = null
    savepoint_trigger_nonce = 1
    flink_configuration     = { "state.checkpoints.dir" = "s3://b/checkpoints", "state.savepoints.dir" = "s3://b/savepoints" }
  }

  assert {
    condition     = !can(jsondecode(output.manifest).spec.flinkConfiguration["high-availability.type"])
    error_message = "no high availability, since there is no place for metadata"
  }
}

run "takes_places_by_flink_s_newer_keys" {
  command = plan

  variables {
    checkpoint_config = null
    upgrade_mode      = "last-state"
    flink_configuration = {
      "execution.checkpointing.dir"           = "s3://b/checkpoints"
      "execution.checkpointing.savepoint-dir" = "s3://b/savepoints"
      "high-availability.storageDir"          = "s3://b/ha"
    }
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration["high-availability.type"] == "kubernetes"
    error_message = "high availability"
  }
}

run "takes_the_operator_s_places" {
  command = plan

  variables {
    checkpoint_config       = null
    upgrade_mode            = "last-state"
    directories_by_operator = true
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration["high-availability.type"] == "kubernetes" && !can(jsondecode(output.manifest).spec.flinkConfiguration["execution.checkpointing.dir"])
    error_message = "high availability, and no place of its own"
  }
}

run "takes_names_of_secrets_for_flink" {
  command = plan

  variables {
    flink_configuration = {
      "kubernetes.secrets"                      = "kafka:/etc/kafka"
      "kubernetes.env.secretKeyRef"             = "env:A,secret:kafka,key:password"
      "kubernetes.container.image.pull-secrets" = "registry"
      "security.delegation.tokens.enabled"      = "false"
    }
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration["kubernetes.secrets"] == "kafka:/etc/kafka"
    error_message = "names of secrets are none"
  }
}

run "refuses_high_availability_without_a_place" {
  command = plan

  variables {
    checkpoint_config = {}
    upgrade_mode      = "stateless"
    high_availability = true
  }

  expect_failures = [output.manifest]
}

run "refuses_a_missing_file" {
  command = plan

  variables {
    job_type = "sql"
    jar_uri  = null
    sql      = ["tests/none.sql"]
  }

  expect_failures = [var.sql]
}

run "refuses_a_script_that_kubernetes_does_not_take" {
  command = plan

  variables {
    job_type = "sql"
    jar_uri  = null
    sql      = ["tests/job.sql"]
    args     = { symbol = join("", [for i in range(0, 1000) : join("", [for j in range(0, 110) : "1234567890"])]) }
  }

  expect_failures = [output.manifest]
}

run "gives_its_metrics_to_prometheus" {
  command = plan

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration["metrics.reporter.prom.factory.class"] == "org.apache.flink.metrics.prometheus.PrometheusReporterFactory" && jsondecode(output.manifest).spec.flinkConfiguration["metrics.reporter.prom.port"] == "9249-9260"
    error_message = "the reporter"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.podTemplate.spec.containers[0].ports == [{ name = "metrics", containerPort = 9249, protocol = "TCP" }]
    error_message = "its port"
  }

  assert {
    condition     = jsondecode(output.others.metrics).spec.selector == { app = "orders", type = "flink-native-kubernetes" } && jsondecode(output.others.metrics).spec.clusterIP == "None" && jsondecode(output.others.metrics).spec.ports == [{ name = "metrics", port = 9249, targetPort = 9249, protocol = "TCP" }]
    error_message = "the pods that are watched, without an address of their own"
  }

  assert {
    condition     = jsondecode(output.others.monitor).kind == "ServiceMonitor" && jsondecode(output.others.monitor).spec.endpoints == [{ port = "metrics" }]
    error_message = "at that port"
  }

  assert {
    condition     = [for other in [output.others.service, output.others.metrics] : try(jsondecode(other).metadata.labels["sdp.metrics"], null) == jsondecode(output.others.monitor).spec.selector.matchLabels["sdp.metrics"]] == [false, true]
    error_message = "of this Service, and not of the UI's"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.podTemplate.metadata.labels["sdp.job"] == "orders"
    error_message = "the pods' label"
  }
}

run "gives_no_metrics_where_it_is_told_so" {
  command = plan

  variables {
    monitoring = false
  }

  assert {
    condition     = !can(jsondecode(output.manifest).spec.flinkConfiguration["metrics.reporter.prom.port"]) && !can(jsondecode(output.manifest).spec.podTemplate.spec.containers[0].ports) && keys(output.others) == ["service"]
    error_message = "neither reporter nor monitor"
  }
}

run "serves_its_ui_inside" {
  command = plan

  assert {
    condition     = jsondecode(output.others.service).spec.selector == { app = "orders", type = "flink-native-kubernetes", component = "jobmanager" }
    error_message = "the JobManager"
  }

  assert {
    condition     = !can(output.others.ingress) && output.ui_url == null
    error_message = "no way in from outside"
  }

  assert {
    condition     = output.rest_url == "http://orders-rest.flink:8081"
    error_message = "the REST API"
  }
}

run "serves_its_ui_outside" {
  command = plan

  variables {
    ingress = { host = "flink.example.com", class_name = "nginx", tls_secret = "flink-tls", annotations = { a = "b" } }
  }

  assert {
    condition     = jsondecode(output.others.ingress).spec.rules[0].host == "flink.example.com" && jsondecode(output.others.ingress).spec.ingressClassName == "nginx"
    error_message = "host and class"
  }

  assert {
    condition     = jsondecode(output.others.ingress).spec.rules[0].http.paths[0].backend.service == { name = "orders-ui", port = { name = "http" } }
    error_message = "the service behind it"
  }

  assert {
    condition     = jsondecode(output.others.ingress).spec.tls == [{ hosts = ["flink.example.com"], secretName = "flink-tls" }]
    error_message = "its certificate"
  }

  assert {
    condition     = jsondecode(output.others.ingress).metadata.annotations == { a = "b" } && output.ui_url == "https://flink.example.com"
    error_message = "annotations and address"
  }
}

run "serves_its_ui_outside_without_a_certificate" {
  command = plan

  variables {
    ingress = { host = "flink.example.com" }
  }

  assert {
    condition     = !can(jsondecode(output.others.ingress).spec.tls) && !can(jsondecode(output.others.ingress).metadata.annotations) && output.ui_url == "http://flink.example.com"
    error_message = "plain http"
  }
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
    job_type                = "scala"
    jar_uri                 = "orders.jar"
    py_module               = "orders.py/x"
    py_archive_uri          = "jobs.zip"
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
    flink_image             = "my image"
    flink_version           = "2.3"
    image_pull_policy       = "Sometimes"
    service_account         = "My Account"
    tm_resource             = { memory = "2048" }
    jm_resource             = { cpu = 0 }
    task_slots              = 0
    secret_env              = { "A B" = { secret = "s", key = "k" } }
    secret_files            = { ca = { secret = "s", path = "etc" } }
    ingress                 = { host = "https://flink.example.com/x" }
    log_configuration       = { "log4j.properties" = "x" }
    args                    = { symbol = "it's" }
    kafka                   = { "a.b" = { "bootstrap.servers" = "k:9092" } }
  }

  expect_failures = [var.job_type, var.jar_uri, var.py_module, var.py_archive_uri, var.entry_class, var.job_name, var.namespace, var.flink_configuration, var.checkpoint_config, var.labels, var.restart_nonce, var.parallelism, var.state, var.upgrade_mode, var.initial_savepoint_path, var.savepoint_trigger_nonce, var.flink_image, var.flink_version, var.image_pull_policy, var.service_account, var.tm_resource, var.jm_resource, var.task_slots, var.secret_env, var.secret_files, var.ingress, var.log_configuration, var.args, var.kafka]
}

run "refuses_wrong_values_2" {
  command = plan

  variables {
    job_name            = "orders-"
    flink_configuration = { "s3.secret-key" = "hunter2" }
    py_archive_uri      = "https://example.com/jobs.zip"
    py_files            = ["https://example.com/a.py"]
    py_archives         = ["https://example.com/venv.zip"]
    checkpoint_config   = { timeout = "0 s" }
    parallelism         = 1.5
    secret_files        = { a = { secret = "s", path = "/x" }, b = { secret = "t", path = "/x" } }
    args                = { symbol = null }
    kafka               = { main = { "client.id" = "x" } }
  }

  expect_failures = [var.job_name, var.flink_configuration, var.py_archive_uri, var.py_files, var.py_archives, var.checkpoint_config, var.parallelism, var.secret_files, var.args, var.kafka]
}

run "refuses_wrong_values_3" {
  command = plan

  variables {
    job_name            = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    flink_configuration = { "s3.session-token" = "hunter2" }
    checkpoint_config   = { s3_path = "team-flink/state" }
    args                = { "a b" = "x" }
    kafka               = { main = { "bootstrap.servers" = "k:9092", "sasl.password" = "hunter2" } }
  }

  expect_failures = [var.job_name, var.flink_configuration, var.checkpoint_config, var.args, var.kafka]
}

run "refuses_wrong_values_4" {
  command = plan

  variables {
    flink_configuration = { "kubernetes.operator.user.artifacts.http.header" = "Authorization:hunter2" }
    kafka               = { main = { "bootstrap.servers" = "k:9092", "sasl.password" = "file:~/pw" } }
  }

  expect_failures = [var.flink_configuration, var.kafka]
}
