mock_provider "kubectl" {}

variables {
  name        = "session"
  flink_image = "registry.example.com/team/flink:2.3.0"
}

run "is_a_cluster_without_a_job" {
  command = plan

  assert {
    condition     = jsondecode(output.manifest).kind == "FlinkDeployment" && jsondecode(output.manifest).metadata.name == "session" && jsondecode(output.manifest).metadata.namespace == "flink" && output.name == "session"
    error_message = "what it is"
  }

  assert {
    condition     = !can(jsondecode(output.manifest).spec.job)
    error_message = "no job"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration["taskmanager.numberOfTaskSlots"] == "4"
    error_message = "task slots"
  }

  assert {
    condition     = jsondecode(output.manifest).metadata.labels["sdp.session-cluster"] == "session"
    error_message = "its label"
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

run "saves_state" {
  command = plan

  variables {
    checkpoint_config   = { interval = "30 s", timeout = "10 min", s3_path = "s3://team-flink/state/" }
    flink_configuration = { "table.exec.state.ttl" = "1 h" }
    restart_nonce       = 2
    labels              = { team = "risk" }
    namespace           = "team"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration["execution.checkpointing.interval"] == "30 s" && jsondecode(output.manifest).spec.flinkConfiguration["execution.checkpointing.timeout"] == "10 min"
    error_message = "interval and timeout"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration["execution.checkpointing.dir"] == "s3://team-flink/state/session/checkpoints" && jsondecode(output.manifest).spec.flinkConfiguration["execution.checkpointing.savepoint-dir"] == "s3://team-flink/state/session/savepoints"
    error_message = "places"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration["high-availability.type"] == "kubernetes" && jsondecode(output.manifest).spec.flinkConfiguration["high-availability.storageDir"] == "s3://team-flink/state/session/ha"
    error_message = "high availability"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.flinkConfiguration["table.exec.state.ttl"] == "1 h" && jsondecode(output.manifest).spec.restartNonce == 2 && jsondecode(output.manifest).metadata.labels.team == "risk" && jsondecode(output.manifest).metadata.namespace == "team"
    error_message = "the rest"
  }

  assert {
    condition     = !can(jsondecode(output.manifest).spec.podTemplate.metadata.labels.team)
    error_message = "no label on the pods, which it would restart"
  }
}

run "makes_nothing_where_it_is_not_enabled" {
  command = plan

  variables {
    enabled = false
  }

  assert {
    condition     = output.name == "session" && output.manifest == null && length(output.others) == 0
    error_message = "nothing is made, and jobs can still name it"
  }
}

run "keeps_no_metadata_where_it_is_told_so" {
  command = plan

  variables {
    checkpoint_config = { s3_path = "s3://team-flink/state" }
    high_availability = false
  }

  assert {
    condition     = !can(jsondecode(output.manifest).spec.flinkConfiguration["high-availability.type"])
    error_message = "no high availability"
  }
}

run "refuses_more_than_the_operator_can_write" {
  command = plan

  variables {
    log_configuration = { "logback-console.xml" = join("", [for i in range(0, 1000) : join("", [for j in range(0, 40) : "1234567890"])]) }
  }

  expect_failures = [output.manifest]
}

run "refuses_high_availability_without_a_place" {
  command = plan

  variables {
    high_availability = true
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
    condition     = jsondecode(output.others.metrics).spec.selector == { app = "session", type = "flink-native-kubernetes" } && jsondecode(output.others.metrics).spec.clusterIP == "None" && jsondecode(output.others.metrics).spec.ports == [{ name = "metrics", port = 9249, targetPort = 9249, protocol = "TCP" }]
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
    condition     = jsondecode(output.manifest).spec.podTemplate.metadata.labels["sdp.session-cluster"] == "session"
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
    condition     = jsondecode(output.others.service).spec.selector == { app = "session", type = "flink-native-kubernetes", component = "jobmanager" }
    error_message = "the JobManager"
  }

  assert {
    condition     = !can(output.others.ingress) && output.ui_url == null
    error_message = "no way in from outside"
  }

  assert {
    condition     = output.rest_url == "http://session-rest.flink:8081"
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
    condition     = jsondecode(output.others.ingress).spec.rules[0].http.paths[0].backend.service == { name = "session-ui", port = { name = "http" } }
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

run "refuses_wrong_values" {
  command = plan

  variables {
    name                = "Orders"
    namespace           = "my_space"
    flink_configuration = { "kubernetes.cluster-id" = "x" }
    checkpoint_config   = { interval = "30" }
    labels              = { team = "a b" }
    restart_nonce       = 1.5
    flink_image         = "my image"
    flink_version       = "2.3"
    image_pull_policy   = "Sometimes"
    service_account     = "My Account"
    tm_resource         = { memory = "2048" }
    jm_resource         = { cpu = 0 }
    task_slots          = 0
    secret_env          = { "A B" = { secret = "s", key = "k" } }
    secret_files        = { ca = { secret = "s", path = "etc" } }
    ingress             = { host = "https://flink.example.com/x" }
    log_configuration   = { "log4j.properties" = "x" }
  }

  expect_failures = [var.name, var.namespace, var.flink_configuration, var.checkpoint_config, var.labels, var.restart_nonce, var.flink_image, var.flink_version, var.image_pull_policy, var.service_account, var.tm_resource, var.jm_resource, var.task_slots, var.secret_env, var.secret_files, var.ingress, var.log_configuration]
}

run "refuses_wrong_values_2" {
  command = plan

  variables {
    name                = "orders-"
    flink_configuration = { "s3.secret-key" = "hunter2" }
    checkpoint_config   = { timeout = "0 s" }
    secret_files        = { a = { secret = "s", path = "/x" }, b = { secret = "t", path = "/x" } }
  }

  expect_failures = [var.name, var.flink_configuration, var.checkpoint_config, var.secret_files]
}

run "refuses_wrong_values_3" {
  command = plan

  variables {
    name              = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    checkpoint_config = { s3_path = "team-flink/state" }
  }

  expect_failures = [var.name, var.checkpoint_config]
}
