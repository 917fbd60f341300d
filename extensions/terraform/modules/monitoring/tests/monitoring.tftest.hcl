mock_provider "kubectl" {}

variables {
  labels = { release = "prometheus" }
}

run "makes_monitors_rules_dashboards_and_the_exporters_configuration" {
  command = plan

  assert {
    condition     = toset(keys(output.manifests)) == toset(["monitor-flink", "monitor-connect", "rules", "dashboard-flink-jobs", "dashboard-kafka-connect", "connect-metrics-kafka"])
    error_message = "what there is"
  }

  assert {
    condition     = jsondecode(output.manifests["monitor-flink"]).spec.podMetricsEndpoints == [{ interval = "30s", port = "metrics" }] && jsondecode(output.manifests["monitor-flink"]).spec.namespaceSelector.matchNames == ["flink"]
    error_message = "the monitor of Flink"
  }

  assert {
    condition     = jsondecode(output.manifests["monitor-connect"]).spec.podMetricsEndpoints[0].port == "tcp-prometheus"
    error_message = "the monitor of Kafka Connect"
  }

  assert {
    condition     = jsondecode(output.manifests["rules"]).metadata.labels.release == "prometheus" && jsondecode(output.manifests["rules"]).metadata.namespace == "monitoring"
    error_message = "the rules"
  }

  assert {
    condition     = jsondecode(output.manifests["dashboard-flink-jobs"]).metadata.labels.grafana_dashboard == "1" && jsondecode(output.manifests["dashboard-flink-jobs"]).metadata.annotations.grafana_folder == "SDP"
    error_message = "the dashboards"
  }

  assert {
    condition     = jsondecode(jsondecode(output.manifests["dashboard-flink-jobs"]).data["flink-jobs.json"]).title == "Flink jobs"
    error_message = "a dashboard is JSON"
  }

  assert {
    condition     = jsondecode(output.manifests["connect-metrics-kafka"]).metadata.namespace == "kafka" && output.connect_metrics.valueFrom.configMapKeyRef == { name = "sdp-connect-metrics", key = "metrics-config.yml" }
    error_message = "the exporter"
  }
}

run "every_alert_says_what_on_what_and_what_to_do" {
  command = plan

  variables {
    jobs       = { flink = ["order-totals"] }
    connectors = { kafka = ["orders"] }
    thresholds = { watermark_behind = 60 }
  }

  assert {
    condition     = length(flatten([for group in jsondecode(output.rules).groups : group.rules])) == 14 && alltrue([for rule in flatten([for group in jsondecode(output.rules).groups : group.rules]) : contains(["critical", "warning"], rule.labels.severity)])
    error_message = "their number"
  }

  assert {
    condition     = alltrue([for rule in flatten([for group in jsondecode(output.rules).groups : group.rules]) : length(rule.annotations.runbook) > 80 && length(rule.annotations.summary) > 20 && length(rule.annotations.description) > 20])
    error_message = "their text"
  }

  assert {
    condition     = alltrue([for rule in flatten([for group in jsondecode(output.rules).groups : group.rules]) : strcontains(rule.annotations.summary, "{{") || contains(["FlinkJobMissing", "FlinkJobFailed", "ConnectorMissing"], rule.alert)])
    error_message = "each names what it is about"
  }
}

run "thresholds_are_in_the_rules" {
  command = plan

  variables {
    alert_labels = { team = "risk" }
    thresholds   = { restarts = 7, window = "1h", lag = 5, back_pressure = 0.5, checkpoint_age = 99, not_running_for = "2m" }
  }

  assert {
    condition     = one([for rule in flatten([for group in jsondecode(output.rules).groups : group.rules]) : rule.expr if rule.alert == "FlinkJobRestarts"]) == "max by (namespace, job_name, job_id) (increase(flink_jobmanager_job_numRestarts[1h])) >= 7"
    error_message = "restarts"
  }

  assert {
    condition     = one([for rule in flatten([for group in jsondecode(output.rules).groups : group.rules]) : rule.for if rule.alert == "FlinkJobNotRunning"]) == "2m"
    error_message = "how long"
  }

  assert {
    condition     = strcontains(one([for rule in flatten([for group in jsondecode(output.rules).groups : group.rules]) : rule.expr if rule.alert == "FlinkBackPressure"]), "/ 1000 > 0.5")
    error_message = "back pressure"
  }

  assert {
    condition     = alltrue([for rule in flatten([for group in jsondecode(output.rules).groups : group.rules]) : rule.labels.team == "risk"])
    error_message = "labels"
  }

  assert {
    condition     = length([for rule in flatten([for group in jsondecode(output.rules).groups : group.rules]) : rule if rule.alert == "FlinkWatermarkBehind"]) == 0
    error_message = "no alert that was not asked for"
  }
}

run "a_job_s_name_is_found_as_flink_s_reporter_writes_it" {
  command = plan

  variables {
    jobs = { flink = ["order-totals", "plain", "a.b c"] }
  }

  assert {
    condition     = toset([for rule in flatten([for group in jsondecode(output.rules).groups : group.rules]) : rule.expr if rule.alert == "FlinkJobMissing"]) == toset(["absent(flink_jobmanager_job_uptime{namespace=\"flink\",job_name=~\"order-totals|order_totals\"})", "absent(flink_jobmanager_job_uptime{namespace=\"flink\",job_name=~\"plain\"})", "absent(flink_jobmanager_job_uptime{namespace=\"flink\",job_name=~\"a\\\\.b c|a_b_c\"})"])
    error_message = "the series"
  }

  assert {
    condition     = toset([for rule in flatten([for group in jsondecode(output.rules).groups : group.rules]) : "${rule.labels.job_name}: ${rule.annotations.summary}" if rule.alert == "FlinkJobMissing"]) == toset(["order_totals: Flink job order-totals in flink is gone", "plain: Flink job plain in flink is gone", "a_b_c: Flink job a.b c in flink is gone"])
    error_message = "the label as other alerts have it, the text with the name"
  }
}

run "a_job_has_an_age_of_checkpoints_of_its_own" {
  command = plan

  variables {
    checkpoint_ages = { flink = { nightly-run = 7200, weekly = 90000 }, other = { nightly-run = 3600 } }
  }

  assert {
    condition     = endswith(split(" or (time", one([for rule in flatten([for group in jsondecode(output.rules).groups : group.rules]) : rule.expr if rule.alert == "FlinkNoCheckpoint"]))[0], "== 0)) unless on (namespace, job_name) flink_jobmanager_job_numberOfCompletedCheckpoints{namespace=\"flink\",job_name=~\"nightly-run|nightly_run\"} unless on (namespace, job_name) flink_jobmanager_job_numberOfCompletedCheckpoints{namespace=\"flink\",job_name=~\"weekly\"} unless on (namespace, job_name) flink_jobmanager_job_numberOfCompletedCheckpoints{namespace=\"other\",job_name=~\"nightly-run|nightly_run\"})")
    error_message = "all others"
  }

  assert {
    condition     = strcontains(one([for rule in flatten([for group in jsondecode(output.rules).groups : group.rules]) : rule.expr if rule.alert == "FlinkNoCheckpoint"]), "CompletedTimestamp{namespace=\"flink\",job_name=~\"nightly-run|nightly_run\"}) / 1000 > 7200 and") && strcontains(one([for rule in flatten([for group in jsondecode(output.rules).groups : group.rules]) : rule.expr if rule.alert == "FlinkNoCheckpoint"]), "CompletedTimestamp{namespace=\"other\",job_name=~\"nightly-run|nightly_run\"}) / 1000 > 3600 and") && strcontains(one([for rule in flatten([for group in jsondecode(output.rules).groups : group.rules]) : rule.expr if rule.alert == "FlinkNoCheckpoint"]), "uptime{namespace=\"flink\",job_name=~\"weekly\"}) / 1000 > 90000 and")
    error_message = "each its own"
  }
}

run "scrapes_the_operator_where_it_is_told_to" {
  command = plan

  variables {
    operator_namespace = "flink-operator"
    flink_namespaces   = ["team-a", "b"]
  }

  assert {
    condition     = jsondecode(output.manifests["monitor-operator"]).spec.namespaceSelector.matchNames == ["flink-operator"] && jsondecode(output.manifests["monitor-operator"]).spec.podMetricsEndpoints[0].port == "metrics"
    error_message = "the monitor"
  }

  assert {
    condition     = toset([for rule in flatten([for group in jsondecode(output.rules).groups : group.rules]) : "${rule.labels.namespace} ${rule.expr}" if rule.alert == "FlinkJobFailed"]) == toset(["team-a max by (resourcetype) (flink_k8soperator_namespace_Lifecycle_State_FAILED_Count{resourcens=~\"team-a|team_a\"}) > 0", "b max by (resourcetype) (flink_k8soperator_namespace_Lifecycle_State_FAILED_Count{resourcens=~\"b\"}) > 0"])
    error_message = "an alert for each namespace"
  }
}

run "scrapes_nothing_where_there_is_nothing" {
  command = plan

  variables {
    flink_namespaces   = []
    connect_namespaces = []
    dashboard_folder   = null
  }

  assert {
    condition     = toset(keys(output.manifests)) == toset(["rules", "dashboard-flink-jobs", "dashboard-kafka-connect"])
    error_message = "what there is"
  }

  assert {
    condition     = !can(jsondecode(output.manifests["dashboard-flink-jobs"]).metadata.annotations)
    error_message = "no folder"
  }
}

run "makes_nothing_when_it_is_not_enabled" {
  command = plan

  variables {
    enabled = false
  }

  assert {
    condition     = length(kubectl_manifest.this) == 0 && length(output.manifests) == 0
    error_message = "nothing"
  }
}

run "refuses_a_duration_in_words" {
  command = plan

  variables {
    thresholds = { window = "15 min" }
  }

  expect_failures = [var.thresholds]
}

run "refuses_a_share_in_percent" {
  command = plan

  variables {
    thresholds = { back_pressure = 80 }
  }

  expect_failures = [var.thresholds]
}

run "refuses_no_restarts" {
  command = plan

  variables {
    thresholds = { restarts = 0 }
  }

  expect_failures = [var.thresholds]
}

run "refuses_a_label_that_alerts_have" {
  command = plan

  variables {
    alert_labels = { severity = "page" }
  }

  expect_failures = [var.alert_labels]
}

run "refuses_an_interval_in_words" {
  command = plan

  variables {
    scrape_interval = "often"
  }

  expect_failures = [var.scrape_interval]
}

run "refuses_a_job_that_would_be_a_pattern" {
  command = plan

  variables {
    jobs = { flink = ["a.*"] }
  }

  expect_failures = [var.jobs]
}

run "refuses_no_age_of_checkpoints" {
  command = plan

  variables {
    checkpoint_ages = { flink = { nightly = 0 } }
  }

  expect_failures = [var.checkpoint_ages]
}

run "refuses_an_operator_s_namespace_that_there_is_not" {
  command = plan

  variables {
    operator_namespace = "Flink"
  }

  expect_failures = [var.operator_namespace]
}
