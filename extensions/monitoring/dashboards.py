"""``python extensions/monitoring/dashboards.py``: write the Grafana dashboards of the module ``monitoring``.

Panels are named as the columns of ``%jobs``, and measure the same; docs/monitoring.md has the table.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueGraphMode, LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER = Path(__file__).parents[1] / "terraform" / "modules" / "monitoring" / "dashboards"
SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
WIDTH, STAT_WIDTH, HEIGHT, STAT_HEIGHT, GRID = 12, 4, 8, 4, 24


@dataclass(frozen=True)
class Graph:
    """A panel over time: ``queries`` maps legends to expressions."""

    title: str
    says: str
    queries: dict[str, str]
    unit: str = "short"
    most: float | None = None


@dataclass(frozen=True)
class Figure:
    """A panel with one number, which is red from ``bad`` on; None for never."""

    title: str
    says: str
    query: str
    bad: float | None = None
    unit: str = "short"


J = 'namespace=~"$namespace",job_name=~"$job"'
TM = "flink_taskmanager_job_task"
JM = "flink_jobmanager_job"
BY = "by (namespace, job_name)"
#: One series for each subtask or connector's part, however many monitors scrape its pod: sums are of these.
ONE_OPERATOR = "max by (namespace, job_name, job_id, operator_id, subtask_index)"
ONE_JOB = "max by (namespace, job_name, job_id)"
LEGEND = "{{job_name}}"
SOURCES, SINKS = f'{J},operator_name=~"Source:.*"', f'{J},operator_name=~"Sink:.*|.*:_Writer"'


def _read() -> str:
    """Count what sources read; those that do not count it have written it, as ``%jobs`` takes it."""
    read, written = (
        f"sum {BY} ({ONE_OPERATOR} (rate({TM}_operator_{name}{{{SOURCES}}}[$__rate_interval])))"
        for name in ("numRecordsIn", "numRecordsOut")
    )
    return f"({read} > {written}) or {written}"


FLINK: tuple[Figure | Graph, ...] = (
    Figure("running", "Jobs all of whose tasks run.", f"count(max by (job_id) ({JM}_allSubTasksRunningOrFinishedTime{{{J}}}) > 0) or vector(0)"),
    Figure("not running", "Jobs that restart or wait for slots. Alert: FlinkJobNotRunning.", f"count(max by (job_id) ({JM}_allSubTasksRunningOrFinishedTime{{{J}}}) == 0) or vector(0)", 1),
    Figure("restarts, 1 h", "Alert: FlinkJobRestarts.", f"sum({ONE_JOB} (increase({JM}_numRestarts{{{J}}}[1h]))) or vector(0)", 1),
    Figure("failed checkpoints, 1 h", "Alert: FlinkCheckpointsFailing.", f"sum({ONE_JOB} (increase({JM}_numberOfFailedCheckpoints{{{J}}}[1h]))) or vector(0)", 1),
    Figure("lag", "Records that sources know of and have not read. Alert: FlinkLagGrowing.", f"sum({ONE_OPERATOR} ({TM}_operator_pendingRecords{{{J}}})) or vector(0)"),
    Figure("slots free", "Task slots that no job takes.", 'sum(max by (namespace, host) (flink_jobmanager_taskSlotsAvailable{namespace=~"$namespace"}))'),
    Graph("lag", "Records that sources know of and have not read. Alert: FlinkLagGrowing.", {LEGEND: f"sum {BY} ({ONE_OPERATOR} ({TM}_operator_pendingRecords{{{J}}}))"}),
    Graph("records read", "By sources, per second.", {LEGEND: _read()}, "cps"),
    Graph("records written", "That have come to sinks, per second.", {LEGEND: f"sum {BY} ({ONE_OPERATOR} (rate({TM}_operator_numRecordsIn{{{SINKS}}}[$__rate_interval])))"}, "cps"),
    Graph("watermark", "How far the least watermark is behind the clock. Alert: FlinkWatermarkBehind, where it is set.", {LEGEND: f"time() - min {BY} ({TM}_currentInputWatermark{{{J}}} > 0) / 1000"}, "s"),
    Graph("back pressure", "The share of the last second that the worst task was held up. Alert: FlinkBackPressure.", {LEGEND: f"max {BY} ({TM}_backPressuredTimeMsPerSecond{{{J}}}) / 1000"}, "percentunit", 1),
    Graph("busy", "The share of the last second that the worst task worked.", {LEGEND: f"max {BY} ({TM}_busyTimeMsPerSecond{{{J}}} >= 0) / 1000"}, "percentunit", 1),
    Graph("checkpoints: age", "Since the last completed one. Alert: FlinkNoCheckpoint.", {LEGEND: f"time() - max {BY} ({JM}_lastCheckpointCompletedTimestamp{{{J}}} > 0) / 1000"}, "s"),
    Graph("checkpoints: duration", "Of the last completed one.", {LEGEND: f"max {BY} ({JM}_lastCheckpointDuration{{{J}}} >= 0)"}, "ms"),
    Graph("checkpoints: size", "State of the last completed one.", {LEGEND: f"max {BY} ({JM}_lastCheckpointFullSize{{{J}}} >= 0)"}, "bytes"),
    Graph("checkpoints: failed", "Within five minutes. Alert: FlinkCheckpointsFailing.", {LEGEND: f"sum {BY} ({ONE_JOB} (increase({JM}_numberOfFailedCheckpoints{{{J}}}[5m])))"}),
    Graph("restarts", "Within five minutes. Alert: FlinkJobRestarts.", {LEGEND: f"sum {BY} ({ONE_JOB} (increase({JM}_numRestarts{{{J}}}[5m])))"}),
    Graph("TaskManager heap", "Of all TaskManagers together.", {
        "used": 'sum(max by (namespace, tm_id) (flink_taskmanager_Status_JVM_Memory_Heap_Used{namespace=~"$namespace"}))',
        "at most": 'sum(max by (namespace, tm_id) (flink_taskmanager_Status_JVM_Memory_Heap_Max{namespace=~"$namespace"}))',
    }, "bytes"),
)  # fmt: skip

C = 'namespace=~"$namespace",connector=~"$connector"'
OF = "by (namespace, connector)"
ONE_TASK = "max by (namespace, connector, task)"
ONE_PARTITION = "max by (namespace, connector, task, topic, partition)"
ONE_WORKER = "max by (namespace, pod, connector)"
NAMED = "{{connector}}"


def _rate(name: str) -> str:
    return f"sum {OF} ({ONE_TASK} (rate(kafka_connect_{name}{{{C}}}[$__rate_interval])))"


CONNECT: tuple[Figure | Graph, ...] = (
    Figure("connectors", "That workers have.", f"count(max {OF} (kafka_connect_connector_status{{{C}}})) or vector(0)"),
    Figure("not running", "Neither running nor paused or stopped on purpose. Alert: ConnectorNotRunning.", f'count(max {OF} (kafka_connect_connector_status{{{C},status!~"running|paused|stopped"}})) or vector(0)', 1),
    Figure("tasks running", "Of all connectors.", f"sum({ONE_WORKER} (kafka_connect_worker_connector_running_task_count{{{C}}})) or vector(0)"),
    Figure("tasks failed", "Alert: ConnectorTaskFailed.", f"sum({ONE_WORKER} (kafka_connect_worker_connector_failed_task_count{{{C}}})) or vector(0)", 1),
    Figure("failed records, 1 h", "Alert: ConnectorRecordsFailing.", f"sum({ONE_TASK} (increase(kafka_connect_task_error_total_record_errors{{{C}}}[1h]))) or vector(0)", 1),
    Figure("lag", "Records that sinks have not read. Alert: ConnectorLagGrowing.", f"sum({ONE_PARTITION} (kafka_consumer_fetch_manager_records_lag{{{C}}})) or vector(0)"),
    Graph("tasks", "By state. Alert: ConnectorTaskFailed.", {"{{status}}": f"sum by (status) (max by (namespace, connector, task, status) (kafka_connect_connector_task_status{{{C}}}))"}),
    Graph("lag", "Records that sinks have not read. Alert: ConnectorLagGrowing.", {NAMED: f"sum {OF} ({ONE_PARTITION} (kafka_consumer_fetch_manager_records_lag{{{C}}}))"}),
    Graph("sources: records written", "To Kafka, per second.", {NAMED: _rate("source_task_source_record_write_total")}, "cps"),
    Graph("sinks: records sent", "To the connector, per second.", {NAMED: _rate("sink_task_sink_record_send_total")}, "cps"),
    Graph("sinks: time to write", "A batch, on average.", {NAMED: f"max {OF} (kafka_connect_sink_task_put_batch_avg_time_ms{{{C}}})"}, "ms"),
    Graph("sources: time to read", "A batch, on average.", {NAMED: f"max {OF} (kafka_connect_source_task_poll_batch_avg_time_ms{{{C}}})"}, "ms"),
    Graph("failed records", "Within five minutes. Alert: ConnectorRecordsFailing.", {NAMED: f"sum {OF} ({ONE_TASK} (increase(kafka_connect_task_error_total_record_errors{{{C}}}[5m])))"}),
    Graph("records set aside", "In the dead letter topic, within five minutes.", {NAMED: f"sum {OF} ({ONE_TASK} (increase(kafka_connect_task_error_deadletterqueue_produce_requests{{{C}}}[5m])))"}),
    Graph("offsets that could not be committed", "Share of the commits.", {NAMED: f"max {OF} (kafka_connect_connector_task_offset_commit_failure_percentage{{{C}}})"}, "percentunit", 1),
    Graph("rebalances", "Workers that are at it, and within an hour.", {
        "now": 'sum(max by (namespace, pod) (kafka_connect_worker_rebalance_rebalancing{namespace=~"$namespace"}))',
        "1 h": 'max(increase(kafka_connect_worker_rebalance_completed_rebalances{namespace=~"$namespace"}[1h]))',
    }),
)  # fmt: skip


def _target(expression: str, legend: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).legend_format(legend).datasource(SOURCE)


def _figure(figure: Figure) -> stat.Panel:
    steps = [Threshold(value=None, color="green")]
    if figure.bad is not None:
        steps.append(Threshold(value=figure.bad, color="red"))
    return (
        stat.Panel()
        .title(figure.title)
        .description(figure.says)
        .datasource(SOURCE)
        .unit(figure.unit)
        .decimals(0)
        .graph_mode(BigValueGraphMode.NONE)
        .thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
        .span(STAT_WIDTH)
        .height(STAT_HEIGHT)
        .with_target(_target(figure.query, ""))
    )


def _graph(graph: Graph) -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    panel = (
        timeseries.Panel()
        .title(graph.title)
        .description(graph.says)
        .datasource(SOURCE)
        .unit(graph.unit)
        .min(0)
        .legend(legend.show_legend(show_legend=True))
        .span(WIDTH)
        .height(HEIGHT)
    )
    if graph.most is not None:
        panel = panel.max(graph.most)
    for name, expression in graph.queries.items():
        panel = panel.with_target(_target(expression, name))
    return panel


def _choice(name: str, label: str, values: str) -> dashboard.QueryVariable:
    every = VariableOption(text="All", value="$__all")
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(values)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".*")
        .current(every)
    )


def _built(
    uid: str, title: str, choices: Iterable[dashboard.QueryVariable], panels: Iterable[Figure | Graph]
) -> str:
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .tags(["sdp"])
        .refresh("30s")
        .time("now-3h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus"))
    )
    for choice in choices:
        made = made.with_variable(choice)
    for panel in panels:
        made = made.with_panel(_figure(panel) if isinstance(panel, Figure) else _graph(panel))
    return json.dumps(made.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def written() -> dict[str, str]:
    """Return the dashboards as JSON, by file name."""
    flink = f"{JM}_uptime"
    connect = "kafka_connect_connector_status"
    return {
        "flink-jobs.json": _built(
            "sdp-flink-jobs",
            "Flink jobs",
            [
                _choice("namespace", "namespace", f"label_values({flink}, namespace)"),
                _choice("job", "job", f'label_values({flink}{{namespace=~"$namespace"}}, job_name)'),
            ],
            FLINK,
        ),
        "kafka-connect.json": _built(
            "sdp-kafka-connect",
            "Kafka Connect",
            [
                _choice("namespace", "namespace", f"label_values({connect}, namespace)"),
                _choice(
                    "connector", "connector", f'label_values({connect}{{namespace=~"$namespace"}}, connector)'
                ),
            ],
            CONNECT,
        ),
    }


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in written().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main()
