from decimal import Decimal

import pyarrow as pa
import pytest
from click.testing import CliRunner

from sdp_kernel import cli
from sdp_kernel.errors import SettingsError
from sdp_kernel.kafka.encode_json import json_lines


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run ``sdp`` in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments):
        return CliRunner().invoke(cli.main, list(arguments), prog_name="sdp")

    return invoke


def test_help_lists_every_command(run):
    result = run("--help")
    assert result.exit_code == 0
    assert {"up", "down", "status", "logs", "seed", "lab", "topics", "sample", "table"} <= set(
        cli.main.commands
    )
    assert all(f"\n  {name} " in result.output for name in cli.main.commands)


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", sorted(cli.main.commands))
def test_every_command_has_help(run, name, flag):
    result = run(name, flag)
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: sdp {name}")
    assert (cli.main.commands[name].help or "").rstrip(".").split(".")[0] in " ".join(result.output.split())


def test_the_version_is_shown(run):
    assert run("--version").output.startswith("sdp, version ")


def test_status_of_a_stack_that_does_not_run_exits_with_1(run):
    result = run("status")
    assert result.exit_code == 1
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.output.count("stopped") >= 4


def test_rows_as_json_are_exact():
    table = pa.table(
        {
            "n": pa.array([{"a": 2**60 + 1}, {"a": None}]),
            "money": pa.array([Decimal("0.10"), None], pa.decimal128(30, 2)),
            "x": [0.1 + 0.2, float("nan")],
            "at": pa.array([1_760_000_000_000_001, None], pa.timestamp("us", "UTC")),
            "day": pa.array([20_000, None], pa.date32()),
            "m": pa.array([[("k", b"\xff")], None], pa.map_(pa.string(), pa.binary())),
            "_headers": pa.array([[{"key": "h", "value": b"text"}], None]),
        }
    )
    assert list(json_lines(table)) == [
        (
            '{"n":{"a":1152921504606846977},"money":0.10,"x":0.30000000000000004,'
            '"at":"2025-10-09T08:53:20.000001Z","day":"2024-10-04","m":{"k":"/w=="},'
            '"_headers":[{"key":"h","value":"text"}]}'
        ),
        '{"n":{"a":null},"money":null,"x":null,"at":null,"day":null,"m":null,"_headers":null}',
    ]


def test_status_as_json_can_be_read(run):
    import json

    result = run("status", "--json")
    assert result.exit_code == 1
    assert {c["healthy"] for c in json.loads(result.stdout)["components"]} == {False}


def test_down_with_nothing_running_is_fine(run):
    result = run("down")
    assert result.exit_code == 0
    assert result.output == "stopped\n"


def test_an_error_is_shown_as_its_message(run, tmp_path):
    (tmp_path / "sdp.toml").write_text("[local]\nslots = 1\n", encoding="utf-8")
    result = run("status")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert result.stderr == (
        f"SettingsError: {tmp_path / 'sdp.toml'}: local.slots is not a setting\n→ known here: flink, maven, task_slots, with\n"
    )


@pytest.mark.parametrize("command", [["topics"], ["sample", "t"], ["table", "t"]])
def test_an_unknown_profile_is_shown_as_its_message(run, command):
    result = run(*command, "--profile", "nowhere")
    assert result.exit_code == 1
    assert "SettingsError: there is no profile 'nowhere'" in result.stderr
    assert "Traceback" not in result.output


def test_another_exception_keeps_its_trace(run, monkeypatch):
    def broken():
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "_stack", broken)
    assert isinstance(run("down").exception, ZeroDivisionError)


def test_an_error_raised_deeper_is_shown_too(run, monkeypatch):
    def broken():
        raise SettingsError("it is wrong", hint="mend it", detail="a long story")

    monkeypatch.setattr(cli, "_stack", broken)
    result = run("down")
    assert result.exit_code == 1
    assert result.output == "SettingsError: it is wrong\n→ mend it\n"


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["sample"], ["sample", "t", "--format", "xml"], ["logs"]]
)
def test_wrong_usage_exits_with_2(run, arguments):
    assert run(*arguments).exit_code == 2
