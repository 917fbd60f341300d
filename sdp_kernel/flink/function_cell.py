"""A checked cell → the module that Flink's workers import, with its functions found."""

from __future__ import annotations

import linecache
import sys
import traceback
import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import FunctionError, UsageError
from sdp_kernel.flink import function_source, function_types
from sdp_kernel.flink.function_local import Local, is_wrapper, kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sdp_kernel.flink.function_source import Source

_OBJECT_PREFIX = "_sdp_"


@dataclass(frozen=True)
class Function:
    """A function of a cell.

    ``target`` is the module's object that Flink asks for; ``arguments`` the SQL types it takes,
    none where it takes any, None where they are not known as SQL.
    """

    name: str
    kind: str
    signature: str
    target: str
    arguments: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Cell:
    """A cell's module: its name, its text, its functions, and what it gives the notebook.

    ``exports`` are the names the cell defines; functions of Flink's are there as :class:`Local`.
    """

    source: Source
    module: str
    text: str
    functions: tuple[Function, ...]
    exports: Mapping[str, Any] = field(repr=False, compare=False)


def load(text: str, names: Sequence[str] = (), *, first_line: int = 1) -> Cell:
    """Check a cell, run it in a module of its own, and find its functions.

    Parameters
    ----------
    text
        The cell, plain Python.
    names
        The functions to register. Without them, all that are decorated; where none is, all public
        ones whose annotations have SQL types.
    first_line
        The cell's line the text starts at.

    Raises
    ------
    FunctionError
        The text does not stand by itself, fails, or has no function to register.
    UsageError
        PyFlink is not installed here.
    """
    source = function_source.read(text, first_line=first_line)
    name = source.module_name(names)
    module = types.ModuleType(name)
    module.__file__ = f"{name}.py"
    sys.modules[name] = module
    try:
        _run(source, module)
        decorated = [found for found in source.defined if is_wrapper(vars(module).get(found))]
        function_source.check_calls(source, decorated)
        chosen = _chosen(source, module, names, decorated)
        epilogue, functions = _epilogue(source, module, chosen)
        exec(compile(epilogue, module.__file__, "exec", dont_inherit=True), vars(module))  # noqa: S102 - the user's own cell
    except BaseException:
        del sys.modules[name]
        raise
    exports = {
        found: Local(value) if is_wrapper(value) else value
        for found, value in vars(module).items()
        if not found.startswith(("__", _OBJECT_PREFIX))
    }
    return Cell(source, name, source.module_text(epilogue), tuple(functions), exports)


def _run(source: Source, module: types.ModuleType) -> None:
    """Run the cell's text as the body of a module; tracebacks find its lines."""
    path = module.__file__ or ""
    text = source.module_text("")
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    try:
        exec(compile(text, path, "exec", dont_inherit=True), vars(module))  # noqa: S102 - the user's own cell
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "pyflink":
            raise UsageError(
                "PyFlink is not installed in this kernel's Python", hint="pip install 'sdp-kernel[local]'"
            ) from None
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        said = "".join(traceback.format_exception_only(type(error), error)).strip()
        raise source.error(
            said,
            hint="the cell has to run by itself, as a module",
            line=(frames[-1].lineno or 1) - source.offset if frames else 1,
        ) from error


def _chosen(
    source: Source, module: types.ModuleType, names: Sequence[str], decorated: Sequence[str]
) -> dict[str, function_types.Signature | None]:
    """Return the functions to register, with a signature for those that have no decorator."""
    chosen: dict[str, function_types.Signature | None] = {}
    for name in names or decorated:
        value = vars(module).get(name)
        if is_wrapper(value):
            chosen[name] = None
        elif name in source.plain:
            chosen[name] = _signature(source, name, value)
        else:
            known = ", ".join([*decorated, *source.plain]) or "none"
            raise FunctionError(f"the cell has no function {name}", hint=f"its functions: {known}")
    if not chosen:
        for name in source.plain:
            if not name.startswith("_"):
                try:
                    chosen[name] = function_types.signature(vars(module)[name])
                except function_types.NoType:
                    continue
    if not chosen:
        raise FunctionError(
            "the cell has no function to register",
            hint="decorate one with @udf(result_type=…) of pyflink.table.udf, or annotate its arguments and "
            f"result: {function_types.KNOWN}",
        )
    twice = {name.lower(): name for name in chosen}
    if len(twice) < len(chosen):
        raise FunctionError(
            f"two functions differ only in upper and lower case: {', '.join(sorted(chosen))}",
            hint="SQL does not tell such names apart: rename one",
        )
    return chosen


def _signature(source: Source, name: str, value: Any) -> function_types.Signature:
    try:
        return function_types.signature(value)
    except function_types.NoType as error:
        raise source.error(
            f"{name} cannot be registered: {error}",
            hint=f"annotate it ({function_types.KNOWN}), or decorate it with @udf(result_type=…)",
            line=source.line(name) - source.offset,
        ) from None


def _epilogue(
    source: Source, module: types.ModuleType, chosen: Mapping[str, function_types.Signature | None]
) -> tuple[str, list[Function]]:
    """Write what is appended to the module: decorators for functions that have only annotations.

    They get names of their own, so that functions go on calling one another.
    """
    lines, functions = [], []
    for name, signature in chosen.items():
        if signature is None:
            wrapper = vars(module)[name]
            if kind_of(wrapper).endswith("table aggregate"):
                raise source.error(
                    f"{name} is a table aggregate function, which Flink SQL cannot call",
                    hint="make it a table function over ARRAY_AGG, or use the Table API",
                    line=source.line(name) - source.offset,
                )
            functions.append(Function(name, kind_of(wrapper), _described(wrapper), name, _arguments(wrapper)))
            continue
        target = f"{_OBJECT_PREFIX}{name}"
        lines.append(f"{target} = {signature.decorated(name)}")
        kind = "table" if signature.table else "scalar"
        described = f"({', '.join(signature.arguments)}) → {signature.result}"
        functions.append(Function(name, kind, described, target, signature.arguments))
    if lines:
        lines = [
            "",
            "",
            "# the annotations, for Flink",
            "from pyflink.table import udf as _sdp_udf",
            "",
            *lines,
        ]
    return "".join(f"{line}\n" for line in lines), functions


def _described(wrapper: Any) -> str:
    """Write a decorated function's types; an argument that is not declared takes any."""
    inputs = wrapper._input_types  # noqa: SLF001
    result = getattr(wrapper, "_result_type", None) or getattr(wrapper, "_result_types", None)
    arguments = "…" if inputs is None else ", ".join(map(_type_name, inputs))
    results = [result] if not isinstance(result, list) else result
    return f"({arguments}) → {', '.join(map(_type_name, results))}"


def _arguments(wrapper: Any) -> tuple[str, ...] | None:
    inputs = wrapper._input_types or ()  # noqa: SLF001
    return tuple(inputs) if all(isinstance(type_, str) for type_ in inputs) else None


def _type_name(type_: Any) -> str:
    return type_ if isinstance(type_, str) else type(type_).__name__.removesuffix("Type").upper()
