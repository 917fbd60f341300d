"""Literal secrets in the Python of a job's functions."""

import ast

import pytest

from sdp_kernel.promote.compose import Composed
from sdp_kernel.promote.lints.python_secrets import hide


def composed(text):
    return Composed({}, (), "", (), "", {"sql/functions/f.py": text})


@pytest.mark.parametrize(
    "text",
    [
        'API_KEY = "hunter2"',
        'class A:\n    db_password: str = "hunter2"',
        'def f(x):\n    return connect("ä", user="u", password="hunter2")',
        'OPTIONS = {"ü": 1, "secret": "hunter2"}',
        'self.access_token = """hunter2\nhunter2"""',
        'password = secret = "hunter2"',
    ],
)
def test_a_literal_under_a_secret_s_name_is_found_and_hidden(text):
    hidden, found = hide(composed(text))
    assert "hunter2" not in hidden.python["sql/functions/f.py"]
    assert {(f.code, f.severity, f.where) for f in found} == {("SDP010", "error", "sql/functions/f.py")}
    assert all("hunter2" not in f"{f}" for f in found)
    assert hide(hidden) == (hidden, ())
    assert ast.dump(ast.parse(hidden.python["sql/functions/f.py"])).count("********") == 1


@pytest.mark.parametrize(
    "text",
    [
        'password = os.environ["PASSWORD"]',
        'token = "x y"',
        'password_hint = "hunter2"',
        'password = ""',
        "password = None",
        "def f(password):\n    return password == 'hunter2'",
        "not python (",
    ],
)
def test_other_code_stays_as_it_is(text):
    assert hide(composed(text)) == (composed(text), ())
