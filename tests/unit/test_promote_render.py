import re

import hcl2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sdp_kernel.errors import UsageError
from sdp_kernel.flink.ledger import Entry
from sdp_kernel.promote import render
from sdp_kernel.repository import notation


@pytest.mark.parametrize("name", ["a", "a1", "orders-by-symbol", "a" * 63])
def test_job_names_kubernetes_takes(name):
    assert render.check_job_name(name) == name


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("Orders_by symbol", "orders-by-symbol"),
        ("", "job"),
        ("1st", "st"),
        ("-a", "a"),
        ("a-", "a"),
        ("a\n", "a"),
        ("../x", "x"),
        ("a" * 64, "a" * 63),
        ("ü", "job"),
        ("a.b", "a-b"),
    ],
)
def test_other_job_names_are_refused_with_one_that_would_do(name, better):
    with pytest.raises(UsageError, match="is not a job name") as caught:
        render.check_job_name(name)
    assert caught.value.hint == f"for example {better}"
    assert render.check_job_name(better) == better


def terraform(arguments=None, *, aliases=(), files=("sql/jobs/j.sql",), source="./m", cluster="session"):
    return render.terraform(
        "my-job",
        module_source=source,
        session_cluster=cluster,
        files=list(files),
        arguments=arguments or {},
        aliases=list(aliases),
    )


def bare(value):
    return value[1:-1] if value.startswith('"') else value


def module(text):
    (found,) = hcl2.loads(text)["module"]
    ((name, body),) = ((n, b) for n, b in found.items() if not n.startswith("__"))
    assert bare(name) == "my_job"
    return body


def test_the_module_names_the_job_its_files_and_its_arguments():
    body = module(
        terraform({"symbol": "ACME"}, aliases=["kafka.main"], files=["sql/tables/t.sql", "sql/jobs/j.sql"])
    )
    assert bare(body["job_name"]) == "my-job"
    assert [bare(path) for path in body["sql"]] == [
        "${path.root}/../sql/tables/t.sql",
        "${path.root}/../sql/jobs/j.sql",
    ]
    assert {bare(k): bare(v) for k, v in body["args"].items() if not k.startswith("__")} == {"symbol": "ACME"}
    assert bare(body["kafka"]) == "${var.kafka}"
    assert "functions" not in body


def test_connections_and_functions_are_arguments_of_their_own():
    body = module(terraform(aliases=["functions", "registry.main"]))
    assert (bare(body["kafka"]), bare(body["functions"])) == ("${var.kafka}", "${var.functions}")
    assert not {k for k in body["args"] if not k.startswith("__")}
    assert not {"kafka", "functions"} & module(terraform({"a": "b"})).keys()


def test_without_arguments_the_block_is_still_whole():
    assert not {k for k in module(terraform())["args"] if not k.startswith("__")}


@given(st.text(), st.text(), st.text())
@example("%{", "${", "a%{b}${")
def test_any_text_gives_a_module_that_parses_and_evaluates_nothing(argument, source, cluster):
    text = terraform({"a": argument, "b": "x"}, source=source, cluster=cluster)
    body = module(text)
    assert len([k for k in body["args"] if not k.startswith("__")]) == 2
    for quoted in (notation.hcl_string(value) for value in (argument, source, cluster)):
        assert quoted in text
        assert not opens_template(quoted)


def opens_template(quoted):
    """Whether HCL reads a ``${`` or ``%{`` that is not doubled."""
    return bool(re.search(r"(?<!\$)\$\{|(?<!%)%\{", quoted))


ESCAPES = re.compile(r'\\(?:[nrt"\\]|u[0-9a-f]{4})')


@given(
    st.text(
        alphabet=st.one_of(
            st.sampled_from('${}%"\\\n\t\b\f\x00\x7f\u2028'), st.characters(exclude_categories=["Cs"])
        )
    )
)
def test_an_hcl_string_reads_back_as_it_was(value):
    inner = notation.hcl_string(value)[1:-1]
    assert not re.search(r"[\x00-\x1f\x7f]", inner)
    assert "\\" not in ESCAPES.sub("", inner)
    decoded = ESCAPES.sub(lambda m: unescaped(m.group()), inner.replace("$${", "${").replace("%%{", "%{"))
    assert decoded == value


def unescaped(escape):
    simple = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
    return simple.get(escape[1]) or chr(int.from_bytes(bytes.fromhex(escape[2:]), "big"))


def test_a_template_keeps_parameters_and_makes_directives_literal():
    assert notation.template("a ${b} $${c} %{if}") == "a ${b} $${c} %%{if}"


def entry(name, kind="CREATE TABLE", text="CREATE TABLE t (x INT)"):
    return Entry(text, kind, name)


@pytest.mark.parametrize(
    ("name", "kind", "path"),
    [
        ("orders", "CREATE TABLE", "sql/tables/orders.sql"),
        ("cat.db.orders", "CREATE TABLE", "sql/tables/cat.db.orders.sql"),
        ("v", "CREATE VIEW", "sql/views/v.sql"),
        ("f", "CREATE FUNCTION", "sql/functions/f.sql"),
        ("m", "CREATE MODEL", "sql/other/m.sql"),
        ("my table", "CREATE TABLE", "sql/tables/my-20-table.sql"),
        (None, "CREATE TABLE", "sql/tables/unnamed.sql"),
    ],
)
def test_a_declaration_has_its_own_file(name, kind, path):
    assert render.path_of(entry(name, kind)) == path


@given(
    st.one_of(st.text(), st.sampled_from([".", "..", "../x", "a/../b", "/etc/x", "a\\b", "~", "-", ".git/x"]))
)
def test_no_name_leads_out_of_its_folder(name):
    path = render.path_of(entry(name))
    assert re.fullmatch(r"sql/tables/[A-Za-z0-9_-][A-Za-z0-9_.-]*\.sql", path)
    assert ".." not in path.split("/")


def test_names_that_differ_have_files_that_differ():
    names = ["a", ".a", "..a", "", ".", "..", "a b", "a/b", "aü"]
    assert len({render.path_of(entry(name)) for name in names}) == len(names)


def test_alters_stand_behind_their_create():
    later = [entry("t", "ALTER TABLE", "ALTER TABLE t ADD y INT")]
    assert render.declaration(entry("t"), later) == "CREATE TABLE t (x INT);\nALTER TABLE t ADD y INT;\n"


def test_a_job_s_file_has_its_settings_first():
    text = render.job_sql("j", [entry(None, "SET", "SET 'a' = '%{b}'")], "INSERT INTO o SELECT '${c}' FROM t")
    assert text == "-- j\nSET 'a' = '%%{b}';\nINSERT INTO o SELECT '${c}' FROM t;\n"


def test_a_receipt_is_json_as_people_read_it():
    text = render.receipt({"job": "j", "name": "Müller"})
    assert '"name": "Müller"' in text
    assert text.endswith("}\n")
