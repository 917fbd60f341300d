"""A module's README says of its arguments what the module says."""

import pytest

from tests import module_docs


@pytest.mark.parametrize(
    "module", module_docs.modules(), ids=lambda path: str(path.relative_to(module_docs.MODULES))
)
def test_a_readme_has_the_modules_own_table(module):
    written = (module / "README.md").read_text(encoding="utf-8")
    assert written == module_docs.written(module), "make docs writes it"


@pytest.mark.parametrize(
    "module", module_docs.modules(), ids=lambda path: str(path.relative_to(module_docs.MODULES))
)
def test_every_argument_and_output_is_described(module):
    assert "|  |" not in module_docs.table(module)
