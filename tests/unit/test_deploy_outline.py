from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.deploy.outline import outline

META = {"name": "orders", "labels": {"sdp.job": "orders"}}
OF_THE_SERVER = {
    "uid": "1",
    "resourceVersion": "7",
    "generation": 3,
    "managedFields": [{}],
    "creationTimestamp": "x",
}


def resource(**spec):
    return {"kind": "FlinkSessionJob", "metadata": META, "spec": spec}


def test_what_the_server_changes_by_itself_is_no_difference():
    plain = resource(job={"parallelism": 1})
    changed = {**plain, "metadata": {**META, **OF_THE_SERVER}, "status": {"lifecycleState": "STABLE"}}
    assert outline(changed) == outline(plain)


def test_a_script_is_compared_line_by_line():
    lines = outline(resource(job={"args": ["--script", "SELECT 1;\n  SELECT 2"], "state": "running"}))
    assert lines == [
        "kind: FlinkSessionJob", "metadata:", "  labels:", "    sdp.job: orders", "  name: orders", "spec:",
        "  job:", "    args:", '    - "--script"', "    - |", "      SELECT 1;", "        SELECT 2", "    state: running",
    ]  # fmt: skip


def test_values_of_secrets_are_not_shown_and_references_are():
    shown = "\n".join(
        outline(resource(flinkConfiguration={"s3.secret-key": "hunter2", "sasl.password": "${env:PASSWORD}"}))
    )
    assert "hunter2" not in shown
    assert "s3.secret-key: (hidden)" in shown
    assert "${env:PASSWORD}" in shown


def test_text_is_told_from_what_looks_like_it():
    assert outline(resource(a="true", b=True, c="1", d=1, e=None, f="", g=[], h={}))[-8:] == [
        '  a: "true"', "  b: true", '  c: "1"', "  d: 1", "  e: null", '  f: ""', "  g: []", "  h: {}",
    ]  # fmt: skip


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_resources_that_differ_have_outlines_that_differ(one, other):
    same = one == other and repr(one) == repr(other)
    assert (outline(resource(x=one)) == outline(resource(x=other))) == same or _keys_only(one, other)


def _keys_only(one, other):
    """Dictionaries of another order are the same resource."""
    return one == other
