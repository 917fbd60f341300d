import pytest

from sdp_kernel.deploy.module_call import read_call
from sdp_kernel.errors import UsageError


@pytest.mark.parametrize(
    "source",
    [
        "./modules/flink/sql-job",
        "flink/sql-job",
        "git::https://gitlab.example/platform/modules.git//flink/sql-job?ref=v1.2.0",
        "gitlab.example/platform/flink/sql-job",
        "ours",
    ],
)
def test_the_module_is_known_by_its_source(tmp_path, source):
    file = tmp_path / "a.tf"
    file.write_text(f'module "a" {{\n  source  = "{source}"\n  version = "1.0"\n  job_name = "a"\n}}\n')
    call = read_call(file, {}, module_source="ours")
    assert (call.name, call.source, dict(call.arguments)) == ("a", source, {"job_name": "a"})


@pytest.mark.parametrize(
    "source", ["./modules/flink/sql-jobs", "./flink/sql-job/../other", "./modules/sql-job"]
)
def test_another_module_is_refused(tmp_path, source):
    file = tmp_path / "a.tf"
    file.write_text(f'module "a" {{\n  source = "{source}"\n}}\n')
    with pytest.raises(UsageError, match="not the SQL job module"):
        read_call(file, {})


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('"a\\tb\\u00e9\\U0001f600\\\\\\""', 'a\tbé\U0001f600\\"'),
        ('"$${x} %%{y} $$ % {z}"', "${x} %{y} $$ % {z}"),
        ('"${path.root}/a"', "./a"),
        ('"${var.place}"', "there"),
        ("var.place", "there"),
        ('{ "a.b" = 1, c : "d" }', {"a.b": 1, "c": "d"}),
        ("[1, # one\n  2,\n]", [1, 2]),
        ("null", None),
        ("-1.5", -1.5),
        ('"e\u0301"', "é"),
    ],
)
def test_literals_and_references_are_evaluated(tmp_path, written, value):
    file = tmp_path / "a.tf"
    file.write_text(f'module "a" {{\n  source = "./flink/sql-job"\n  x = {written}\n}}\n')
    assert read_call(file, {"place": "there"}).arguments["x"] == value
