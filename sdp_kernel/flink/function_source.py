"""The text of a cell with Python functions: checked before anything runs, and made into a module.

A worker imports the module with nothing of the notebook around it, so the text has to stand by
itself: what it reads, it has to define or import. Nothing here imports PyFlink.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import symtable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdp_kernel.errors import FunctionError, Position
from sdp_kernel.flink.script import excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: How the modules of registered cells are named; the digits are of the text's hash.
MODULE_PREFIX = "sdp_fn_"
_HASH_DIGITS = 12
_ALWAYS_THERE = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__", "__spec__", "__builtins__"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Source:
    """A cell's text that stands by itself.

    Attributes
    ----------
    text
        As it stands in the cell, without the magic's line.
    first_line
        The cell's line the text starts at: the module's lines count as the cell's.
    defined
        The names bound at the top by ``def``, ``class`` or assignment, in order; not by import.
    plain
        Those of them that are functions without a decorator.
    """

    text: str
    first_line: int
    defined: tuple[str, ...]
    plain: tuple[str, ...]
    tree: ast.Module = field(repr=False, compare=False)

    def line(self, name: str) -> int:
        """Return the cell's line that defines ``name``."""
        return next((line for found, line in _definitions(self.tree) if found == name), 1) + self.offset

    @property
    def offset(self) -> int:
        """How many of the cell's lines stand before the text."""
        return self.first_line - 1

    def error(self, message: str, *, hint: str, line: int = 1, column: int = 1) -> FunctionError:
        """Make the error for a place in the text, lines counted from the text's first."""
        return FunctionError(
            message,
            hint=hint,
            position=Position(line + self.offset, column),
            excerpt=excerpt(self.text, Position(line, column)),
        )

    def module_name(self, names: Iterable[str]) -> str:
        """Return a name that no other text has: workers, and Flink's client, keep modules by name."""
        identity = "\0".join([str(self.first_line), *names, self.text])
        return MODULE_PREFIX + hashlib.sha256(identity.encode()).hexdigest()[:_HASH_DIGITS]

    def module_text(self, epilogue: str) -> str:
        """Return the module's text: its lines have the numbers they have in the cell."""
        before = "# %%flinkudf\n" * min(self.offset, 1) + "\n" * max(self.offset - 1, 0)
        return f"{before}{self.text.rstrip()}\n{epilogue}"


def read(text: str, *, first_line: int = 1) -> Source:
    """Check the text of a cell.

    Raises
    ------
    FunctionError
        It is not Python, or reads names that it neither defines nor imports.
    """
    try:
        tree = ast.parse(text)
        table = symtable.symtable(text, "cell", "exec")
    except SyntaxError as error:
        raise _not_python(text, error, first_line) from None
    except ValueError as error:  # a null character
        raise FunctionError(f"the cell is not Python: {error}", hint="take the character out") from None
    defined = tuple(dict.fromkeys(name for name, _ in _definitions(tree)))
    plain = tuple(node.name for node in tree.body if isinstance(node, _FUNCTIONS) and not node.decorator_list)
    source = Source(text, first_line, defined, plain, tree)
    _check_names(source, table)
    return source


def _not_python(text: str, error: SyntaxError, first_line: int) -> FunctionError:
    line, column = error.lineno or 1, max(error.offset or 1, 1)
    wrong = text.split("\n")[line - 1].strip() if line <= text.count("\n") + 1 else ""
    is_magic = wrong.startswith(("%", "!", "?")) or wrong.endswith("?")
    return FunctionError(
        f"the cell is not Python: {error.msg}",
        hint="Flink's workers import the cell as a module: put % and ! lines into a cell of their own"
        if is_magic
        else "mend the line",
        position=Position(line + first_line - 1, column),
        excerpt=excerpt(text, Position(line, column)),
    )


def _definitions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in tree.body:
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            yield node.name, node.lineno
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for part in ast.walk(target):
                    if isinstance(part, ast.Name):
                        yield part.id, node.lineno


def _check_names(source: Source, table: symtable.SymbolTable) -> None:
    """Refuse names that only the notebook has: a worker would find them missing, rows later."""
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(source.tree)):
        return
    bound = {symbol.get_name() for symbol in table.get_symbols() if _binds(symbol)}
    read: set[str] = set()
    for scope in _scopes(table):
        for symbol in scope.get_symbols():
            if symbol.is_declared_global() and symbol.is_assigned():
                bound.add(symbol.get_name())
            if symbol.is_referenced() and (symbol.is_global() or scope is table):
                read.add(symbol.get_name())
    missing = read - bound - _ALWAYS_THERE
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in missing:
            raise source.error(
                f"{node.id} is not defined in this cell; Flink's workers do not see the notebook's variables",
                hint=f"define or import {node.id} in the cell itself, or pass it as an argument",
                line=node.lineno,
                column=_column(source.text, node),
            )


def _binds(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()


def _scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _scopes(child)


def check_calls(source: Source, wrapped: Iterable[str]) -> None:
    """Refuse functions that call one of ``wrapped``: in Python it is a description, not a function.

    Raises
    ------
    FunctionError
        One does, itself included.
    """
    names = set(wrapped)
    for function in ast.walk(source.tree):
        if not isinstance(function, _FUNCTIONS):
            continue
        for node in (part for statement in function.body for part in ast.walk(statement)):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
                raise source.error(
                    f"{function.name} uses {node.id}, which its decorator has made a function of Flink's: "
                    "workers cannot call it from Python",
                    hint="put what they share into a function without a decorator",
                    line=node.lineno,
                    column=_column(source.text, node),
                )


def _column(text: str, node: ast.Name) -> int:
    """Return a node's column in characters, from 1; the parser counts bytes."""
    line = text.split("\n")[node.lineno - 1].encode()
    return len(line[: node.col_offset].decode(errors="replace")) + 1
