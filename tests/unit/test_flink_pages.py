import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import GatewayUnreachable
from sdp_kernel.flink.pages import Pace, Pages, next_token


def page(token, rows="[]", *, end=False, ready=True):
    if not ready:
        return f'{{"resultType":"NOT_READY","nextResultUri":"/v3/sessions/s/operations/o/result/{token}?rowFormat=JSON"}}'.encode()
    following = (
        "" if end else f',"nextResultUri":"/v3/sessions/s/operations/o/result/{token + 1}?rowFormat=JSON"'
    )
    kind = "EOS" if end else "PAYLOAD"
    return f'{{"resultType":"{kind}","results":{{"columns":[],"rowFormat":"JSON","data":{rows}}}{following}}}'.encode()


class Gateway:
    """Answers by token, and remembers what was asked."""

    def __init__(self, script):
        self.script = {token: list(answers) for token, answers in script.items()}
        self.asked = []

    def fetch(self, _session, _operation, token):
        self.asked.append(token)
        answers = self.script[token]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def read(gateway):
    pages, got = Pages(gateway, "s", "o"), []
    while not got or next_token(got[-1]) is not None:
        one = pages.get(5)
        assert one is not None
        got.append(one)
    return got


def test_pages_come_in_order_and_each_token_is_asked_until_it_is_ready():
    gateway = Gateway(
        {0: [page(0, ready=False), page(0, "[1]")], 1: [page(1, "[2]")], 2: [page(2, end=True)]}
    )
    assert [next_token(p) for p in read(gateway)] == [1, 2, None]
    assert gateway.asked == [0, 0, 1, 2]


def test_empty_pages_are_passed_over_but_for_the_first_which_names_the_columns():
    gateway = Gateway({0: [page(0)], 1: [page(1)], 2: [page(2, "[1]")], 3: [page(3, end=True)]})
    assert [next_token(p) for p in read(gateway)] == [1, 3, None]


def test_an_error_is_raised_where_its_page_would_have_come():
    pages = Pages(Gateway({0: [page(0, "[1]")], 1: [GatewayUnreachable("gone")]}), "s", "o")
    assert pages.get(5) is not None
    with pytest.raises(GatewayUnreachable):
        pages.get(5)


def test_silence_gives_nothing_and_stopping_ends_the_thread():
    before = threading.active_count()
    pages = Pages(Gateway({0: [page(0, ready=False)]}), "s", "o")
    assert pages.get(0.05) is None
    pages.stop()
    pages._thread.join(5)
    assert threading.active_count() == before


@given(st.integers(0, 10**9), st.text())
def test_the_token_is_the_pages_own_and_never_one_inside_a_value(token, text):
    import msgspec

    decoy = msgspec.json.encode([text, {"nextResultUri": "/x/result/99?rowFormat=JSON"}]).decode()
    assert next_token(page(token, f"[{decoy}]")) == token + 1
    assert next_token(page(token, f"[{decoy}]", end=True)) is None


def test_after_full_pages_the_next_is_asked_for_at_once_for_as_long_as_the_query_runs():
    pace = Pace(0.0)
    assert {pace.after_rows(0.01 * i, 1_000_000) for i in range(1000)} == {0.0}


def test_a_trickle_is_asked_for_at_once_in_the_beginning_and_five_times_a_second_later():
    pace = Pace(0.0)
    assert {pace.after_rows(0.02 * i, 300) for i in range(100)} == {0.0}
    assert {pace.after_rows(3 + 0.1 * i, 300) for i in range(100)} == {0.2}
    assert pace.after_nothing(13.1) == 0.2
    assert pace.after_rows(13.2, 1_000_000) == 0.0


def test_in_silence_questions_become_rare():
    pace, now, asked = Pace(0.0), 0.0, 0
    while now < 60:
        now += pace.after_nothing(now)
        asked += 1
    assert 600 <= asked < 800
