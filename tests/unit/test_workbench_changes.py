"""Who may change a topic: nobody on a read-only profile, elsewhere only who confirms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import sdp_kernel
from sdp_kernel.errors import BrokerUnreachable, ReadOnly

if TYPE_CHECKING:
    from pathlib import Path

CHANGES = {
    "write to": lambda wb, **options: wb.produce("t", [{"a": 1}], **options),
    "create": lambda wb, **options: wb.create_topic("t", **options),
    "delete": lambda wb, **options: wb.delete_topic("t", **options),
    "clear": lambda wb, **options: wb.clear_topic("t", **options),
}


@pytest.fixture
def workbench(tmp_path: Path) -> Any:
    def make(*, read_only: bool) -> sdp_kernel.Workbench:
        (tmp_path / "sdp.toml").write_text(
            f'[profiles.there]\ngateway = "http://127.0.0.1:1"\nread_only = {str(read_only).lower()}\n'
            '[profiles.there.kafka.main]\n"bootstrap.servers" = "127.0.0.1:1"\n'
        )
        return sdp_kernel.connect("there", directory=tmp_path)

    return make


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("options", [{}, {"confirm": True}])
def test_a_read_only_profile_refuses_also_what_is_confirmed(
    workbench: Any, what: str, options: dict[str, bool]
) -> None:
    with pytest.raises(ReadOnly, match="is read-only") as error:
        CHANGES[what](workbench(read_only=True), **options)
    assert what in str(error.value)


@pytest.mark.parametrize("what", CHANGES)
def test_any_profile_but_the_embedded_stack_wants_to_be_asked(workbench: Any, what: str) -> None:
    with pytest.raises(ReadOnly, match="not confirmed"):
        CHANGES[what](workbench(read_only=False))


def test_what_is_confirmed_goes_to_the_cluster(workbench: Any) -> None:
    with pytest.raises(BrokerUnreachable):
        CHANGES["delete"](workbench(read_only=False), confirm=True)
