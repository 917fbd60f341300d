locals {
  at = var.thresholds

  # A job's series by the labels that name it. Flink's reporter writes _ for what it filters out of labels,
  # such as the hyphens of a job's name, unless metrics.reporter.prom.filterLabelValueCharacters is false.
  of_job = "max by (namespace, job_name, job_id)"

  # Sums are of one series for each subtask, task or partition, however many monitors scrape its pod.
  pending    = "sum by (namespace, job_name) (max by (namespace, job_name, job_id, operator_id, subtask_index)"
  of_tasks   = "sum by (namespace, connector) (max by (namespace, connector, task)"
  partitions = "sum by (namespace, connector) (max by (namespace, connector, task, topic, partition)"

  # Names of jobs and namespaces as they may be in labels, and as Flink's reporter writes them.
  names    = distinct(flatten([values(var.jobs), [for ages in values(var.checkpoint_ages) : keys(ages)], var.flink_namespaces]))
  reported = { for name in local.names : name => replace(name, "/[^a-zA-Z0-9:_]/", "_") }
  pattern  = { for name in local.names : name => join("|", distinct([replace(name, ".", "\\\\."), local.reported[name]])) }

  # Where the last checkpoint is older than so many seconds, or there never was one: of all jobs, and of those
  # that have an age of their own.
  ages = merge([for namespace, ages in var.checkpoint_ages : {
    for name, age in ages : "${namespace}/${name}" => { of = "{namespace=\"${namespace}\",job_name=~\"${local.pattern[name]}\"}", age = age }
  }]...)
  each_old = {
    for key, found in merge({ "" = { of = "", age = local.at.checkpoint_age } }, local.ages) :
    key => "(time() - ${local.of_job} (flink_jobmanager_job_lastCheckpointCompletedTimestamp${found.of}) / 1000 > ${found.age} and ${local.of_job} (flink_jobmanager_job_numberOfCompletedCheckpoints${found.of}) > 0) or (${local.of_job} (flink_jobmanager_job_uptime${found.of}) / 1000 > ${found.age} and ${local.of_job} (flink_jobmanager_job_totalNumberOfCheckpoints${found.of}) > 0 and ${local.of_job} (flink_jobmanager_job_numberOfCompletedCheckpoints${found.of}) == 0)"
  }
  others = join("", [for found in values(local.ages) : " unless on (namespace, job_name) flink_jobmanager_job_numberOfCompletedCheckpoints${found.of}"])
  old    = join(" or ", [for key, expr in local.each_old : key == "" && length(local.ages) > 0 ? "((${expr})${local.others})" : expr])

  flink_alerts = concat([
    {
      alert       = "FlinkJobNotRunning"
      expr        = "${local.of_job} (flink_jobmanager_job_allSubTasksRunningOrFinishedTime) == 0"
      for         = local.at.not_running_for
      severity    = "critical"
      summary     = "Flink job {{ $labels.job_name }} in {{ $labels.namespace }} does not run"
      description = "The JobManager knows the job {{ $labels.job_name }} ({{ $labels.job_id }}), and for ${local.at.not_running_for} not all of its tasks have run: it restarts, or waits for slots."
      runbook     = "In a notebook, %jobs shows its state and whether tasks wait for a slot, and %why JOB the reason of the last failure. No slot: add TaskManagers, or lower its parallelism. A failure that comes again: mend the job or its input and apply it; upgrade_mode last-state goes on from the newest checkpoint."
    },
    {
      alert       = "FlinkJobRestarts"
      expr        = "${local.of_job} (increase(flink_jobmanager_job_numRestarts[${local.at.window}])) >= ${local.at.restarts}"
      for         = "0m"
      severity    = "warning"
      summary     = "Flink job {{ $labels.job_name }} in {{ $labels.namespace }} restarts again and again"
      description = "{{ $value | printf \"%.0f\" }} restarts within ${local.at.window}. Between them it runs from its last checkpoint, and what comes after is read again."
      runbook     = "%why JOB gives the reason of each restart, the newest first. Out of memory: raise tm_resource. A TaskManager that is lost: see its pod's events. A record that cannot be read: 'json.ignore-parse-errors', or mend the source."
    },
    {
      alert       = "FlinkCheckpointsFailing"
      expr        = "${local.of_job} (increase(flink_jobmanager_job_numberOfFailedCheckpoints[${local.at.window}])) >= ${local.at.failed_checkpoints}"
      for         = "0m"
      severity    = "warning"
      summary     = "Checkpoints of Flink job {{ $labels.job_name }} in {{ $labels.namespace }} fail"
      description = "{{ $value | printf \"%.0f\" }} checkpoints failed within ${local.at.window}. After a failure, the job goes on from the last one that was completed."
      runbook     = "%jobs shows completed and failed ones, Flink's UI under Checkpoints why. They expire: look for back pressure first, then raise checkpoint_config.timeout. The store refuses: check s3_path and what the service account may do."
    },
    {
      alert       = "FlinkNoCheckpoint"
      expr        = local.old
      for         = "5m"
      severity    = "critical"
      summary     = "Flink job {{ $labels.job_name }} in {{ $labels.namespace }} has no recent checkpoint"
      description = "For {{ $value | humanizeDuration }} no checkpoint was completed. A failure now would set the job back by as much."
      runbook     = "%jobs shows checkpoints and back pressure. One that goes on for long waits behind back pressure or for a large state; FlinkCheckpointsFailing says whether they fail. Do not restart the job without need: it would read again what came since. A longer interval than others' is no failure: give the job an age of its own in checkpoint_ages."
    },
    {
      alert       = "FlinkLagGrowing"
      expr        = "${local.pending} (flink_taskmanager_job_task_operator_pendingRecords)) > ${local.at.lag} and ${local.pending} (deriv(flink_taskmanager_job_task_operator_pendingRecords[${local.at.window}]))) > 0"
      for         = local.at.lag_for
      severity    = "warning"
      summary     = "Flink job {{ $labels.job_name }} in {{ $labels.namespace }} falls behind"
      description = "{{ $value | humanize }} records of its topics are not read yet, and they become more for ${local.at.lag_for}."
      runbook     = "%jobs shows lag, back pressure and how busy the job is. Busy: raise parallelism, up to the topic's partitions. Back pressure: the sink or a task after it is slow, see FlinkBackPressure. Neither: more arrives than usual, %topics shows the rate."
    },
    {
      alert       = "FlinkBackPressure"
      expr        = "max by (namespace, job_name, task_name) (avg_over_time(flink_taskmanager_job_task_backPressuredTimeMsPerSecond[5m])) / 1000 > ${local.at.back_pressure}"
      for         = local.at.back_pressure_for
      severity    = "warning"
      summary     = "A task of Flink job {{ $labels.job_name }} in {{ $labels.namespace }} is held up"
      description = "{{ $labels.task_name }} waits {{ $value | humanizePercentage }} of the time for the tasks after it."
      runbook     = "The cause is the first task after it that is busy and not held up itself: Flink's UI shows both in colours, %jobs the worst of each. Raise parallelism, look at skewed keys, or at the system that a sink writes to."
    },
    ], local.at.watermark_behind == null ? [] : [
    {
      alert       = "FlinkWatermarkBehind"
      expr        = "time() - min by (namespace, job_name) (flink_taskmanager_job_task_currentInputWatermark > 0) / 1000 > ${coalesce(local.at.watermark_behind, 1)}"
      for         = local.at.lag_for
      severity    = "warning"
      summary     = "The watermark of Flink job {{ $labels.job_name }} in {{ $labels.namespace }} is behind"
      description = "It is {{ $value | humanizeDuration }} behind the clock: windows are as late."
      runbook     = "%why JOB tells which partition holds it back. A partition without records: 'scan.watermark.idle-timeout'. Old records: the job catches up, see the lag. Records ahead of their time elsewhere: check the event time's unit and zone."
    },
    ], flatten([for namespace, names in var.jobs : [for name in names : {
      alert       = "FlinkJobMissing"
      expr        = "absent(flink_jobmanager_job_uptime{namespace=\"${namespace}\",job_name=~\"${local.pattern[name]}\"})"
      for         = local.at.not_running_for
      severity    = "critical"
      summary     = "Flink job ${name} in ${namespace} is gone"
      description = "No JobManager in ${namespace} has told of a job called ${name} for ${local.at.not_running_for}: it ended, failed for good or was never there, its cluster is gone, or it is not scraped."
      runbook     = "%jobs lists what the cluster knows, with jobs that have ended. In Kubernetes, the job's FlinkSessionJob or FlinkDeployment says in its status why it does not run; the operator's log has more. If it is meant to be gone, or suspended, take it out of jobs."
      labels      = { namespace = namespace, job_name = local.reported[name] }
      }]]), [for namespace in var.flink_namespaces : {
      alert       = "FlinkJobFailed"
      expr        = "max by (resourcetype) (flink_k8soperator_namespace_Lifecycle_State_FAILED_Count{resourcens=~\"${local.pattern[namespace]}\"}) > 0"
      for         = local.at.not_running_for
      severity    = "critical"
      summary     = "Flink jobs in ${namespace} failed for good"
      description = "The Flink Kubernetes Operator has {{ $value | printf \"%.0f\" }} of kind {{ $labels.resourcetype }} in ${namespace} in the state FAILED for ${local.at.not_running_for}: they could not be deployed, or Flink no longer restarts them."
      runbook     = "In Kubernetes, the lifecycle state of the namespace's FlinkSessionJobs and FlinkDeployments shows which; status.error says why, and %why JOB or the JobManager's log has the exception. Mend the cause, then apply the job with another restart_nonce; upgrade_mode last-state goes on from the newest checkpoint."
      labels      = { namespace = namespace }
    }]
  )

  connect_alerts = concat([
    {
      alert       = "ConnectorNotRunning"
      expr        = "max by (namespace, connector, status) (kafka_connect_connector_status{status!~\"running|paused|stopped\"}) > 0"
      for         = local.at.not_running_for
      severity    = "critical"
      summary     = "Connector {{ $labels.connector }} in {{ $labels.namespace }} is {{ $labels.status }}"
      description = "It has not run for ${local.at.not_running_for}. A connector that is paused or stopped on purpose is not told of."
      runbook     = "The KafkaConnector's status holds Kafka Connect's trace. Failed: its configuration, or the system that it connects to. Unassigned: the workers cannot agree, or none is left; see the KafkaConnect's pods."
    },
    {
      alert       = "ConnectorTaskFailed"
      expr        = "max by (namespace, connector, task) (kafka_connect_connector_task_status{status=\"failed\"}) > 0"
      for         = local.at.not_running_for
      severity    = "critical"
      summary     = "Task {{ $labels.task }} of connector {{ $labels.connector }} in {{ $labels.namespace }} failed"
      description = "The task has been failed for ${local.at.not_running_for}: restarts by the operator have not helped, or are turned off. Its partitions or tables stand still."
      runbook     = "The KafkaConnector's status holds the trace. A record that cannot be converted: set dead_letter_topic, or mend it. A system that was away: annotate the KafkaConnector with strimzi.io/restart-task to start the task again."
    },
    {
      alert       = "ConnectorRecordsFailing"
      expr        = "${local.of_tasks} (increase(kafka_connect_task_error_total_record_errors[${local.at.window}]))) >= ${local.at.failed_records}"
      for         = "0m"
      severity    = "warning"
      summary     = "Records of connector {{ $labels.connector }} in {{ $labels.namespace }} fail"
      description = "{{ $value | printf \"%.0f\" }} records could not be converted, transformed or written within ${local.at.window}; with dead_letter_topic they are there, with the reason in their headers."
      runbook     = "%sample of the dead letter topic shows them, with their headers. Mend what writes them, or the connector's converter; then produce them anew."
    },
    {
      alert       = "ConnectorLagGrowing"
      expr        = "${local.partitions} (kafka_consumer_fetch_manager_records_lag)) > ${local.at.lag} and ${local.partitions} (deriv(kafka_consumer_fetch_manager_records_lag[${local.at.window}]))) > 0"
      for         = local.at.lag_for
      severity    = "warning"
      summary     = "Connector {{ $labels.connector }} in {{ $labels.namespace }} falls behind"
      description = "{{ $value | humanize }} records of its topics are not read yet, and they become more for ${local.at.lag_for}."
      runbook     = "%topic shows the group connect-CONNECTOR with its lag by partition. One partition: a skewed key. All: raise tasks_max, up to the partitions, or the batches that the connector writes; or the system behind it is slow."
    },
    ], flatten([for namespace, names in var.connectors : [for name in names : {
      alert       = "ConnectorMissing"
      expr        = "absent(kafka_connect_connector_status{namespace=\"${namespace}\",connector=\"${name}\"})"
      for         = local.at.not_running_for
      severity    = "critical"
      summary     = "Connector ${name} in ${namespace} is gone"
      description = "No worker of Kafka Connect in ${namespace} has told of a connector called ${name} for ${local.at.not_running_for}: it was taken away, its workers are gone, or they are not scraped."
      runbook     = "Whether the KafkaConnector is there and what its status says; whether the KafkaConnect's pods run, and whether its metricsConfig names the ConfigMap that this module makes. If it is meant to be gone, take it out of connectors."
      labels      = { namespace = namespace, connector = name }
    }]])
  )

  groups = [for name, alerts in { flink = local.flink_alerts, connect = local.connect_alerts } : {
    name = "${var.name}-${name}"
    rules = [for alert in alerts : {
      alert  = alert.alert
      expr   = alert.expr
      for    = alert.for
      labels = merge(var.alert_labels, try(alert.labels, {}), { severity = alert.severity })
      annotations = {
        summary     = alert.summary
        description = alert.description
        runbook     = alert.runbook
      }
    }]
  }]
}
