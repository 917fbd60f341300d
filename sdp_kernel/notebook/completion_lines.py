"""Completion on the lines of our magics: options, subcommands, topics, queries, variables.

Options and choices are read from the magic's own argument parser, so a new one needs nothing here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sdp_kernel.flink.complete_found import Candidate, Completion
from sdp_kernel.notebook import job_commands

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

    from sdp_kernel.notebook.completion import Part
    from sdp_kernel.notebook.completion_names import NameCache

#: Subcommands of magics that have no parser.
_SUBCOMMANDS = {"sdp": ("up", "down", "status", "logs", "connect", "workbench", *job_commands.NAMES)}
_FIRST_WORDS = {"topic": ("create", "delete", "clear")}
_FORMATS = ("json", "csv", "text", "bytes", "avro", "protobuf", "json-schema", "msgpack")
_TIMES = ("earliest", "latest", "now", "5m", "1h", "2h", "1d")
_MARKS = ("line", "bar", "area", "point")
_WORD = re.compile(r"(?:[^\s'\"]|'[^']*'|\"[^\"]*\"|['\"][^'\"]*\Z)+")


def complete_line(part: Part, magic: Any, names: NameCache, variables: Mapping[str, Any]) -> Completion:
    """Return what may stand at the cursor on a magic's line; offsets count from the part's start."""
    before = part.text[: part.offset]
    words = _WORD.findall(before)
    typed = words.pop() if words and not before[-1:].isspace() else ""
    line = _Line(part, words, typed, names, variables)
    start = part.offset - len(line.typed)
    candidates = line.candidates(magic)
    low = line.typed.lower()
    fitting = {each.text: each for each in candidates if each.text.lower().startswith(low)}
    return Completion(start, part.offset, tuple(fitting.values()))


class _Line:
    """The words before the cursor, and what may follow them."""

    def __init__(
        self, part: Part, words: list[str], typed: str, names: NameCache, variables: Mapping[str, Any]
    ) -> None:
        self.part = part
        self.words = words
        self.typed = typed
        self.names = names
        self.variables = variables

    def candidates(self, magic: Any) -> list[Candidate]:
        parser = getattr(magic, "parser", None)
        if parser is None:
            return self._without_parser()
        actions = parser._actions  # noqa: SLF001 - argparse has no other way to its options
        option, equals, _ = self.typed.partition("=")
        if equals and option.startswith("--"):
            self.typed = self.typed[len(option) + 1 :]
            self.words.append(option)
        elif self.typed.startswith("-"):
            return self._options(actions)
        positional = [action for action in actions if not action.option_strings]
        count = 0
        index = 0
        while index < len(self.words):
            action = _option(actions, self.words[index])
            if action is None:
                count += 1
            elif _takes_value(action):
                if index + 1 >= len(self.words) or action.nargs in {"+", "*"}:
                    return self._values(action)
                index += 1
            index += 1
        if count < len(positional):
            found = self._values(positional[count], first=count == 0)
        else:
            several = bool(positional) and positional[-1].nargs in {"+", "*"}
            found = self._values(positional[-1]) if several else []
        return found if self.typed else [*found, *self._options(actions)]

    def _without_parser(self) -> list[Candidate]:
        magic = self.part.magic or ""
        if not self.words:
            return [Candidate(word, "keyword") for word in _SUBCOMMANDS.get(magic, ())]
        if self.words == ["connect"]:
            return [Candidate(name, "profile") for name in self.names.profiles]
        if self.words == ["up"]:
            return [Candidate("--with registry", "option")]
        if self.words == ["logs"]:
            known = ("jobmanager", "taskmanager", "gateway", "kafka", "registry")
            return [Candidate(name, "component") for name in known]
        if magic == "sdp" and self.words[0] in job_commands.NAMES and self.typed.startswith("-"):
            return [Candidate(*option) for option in job_commands.options(self.words[0])]
        return []

    def _options(self, actions: Iterable[argparse.Action]) -> list[Candidate]:
        return [
            Candidate(name, "option", re.sub(r"%%", "%", action.help or ""))
            for action in actions
            if action.option_strings
            and action.dest != "help"
            and not (set(action.option_strings) & set(self.words) and action.nargs == 0)
            for name in action.option_strings
            if name.startswith("--") or len(action.option_strings) == 1
        ]

    def _values(self, action: argparse.Action, *, first: bool = False) -> list[Candidate]:
        """Return the values that an argument may have, by what it is called."""
        said = {action.dest, str(action.metavar or "").lower()}
        if action.choices:
            found = [Candidate(str(choice), "keyword") for choice in action.choices]
            return found + (self._queries() if action.dest == "action" and not self.words else [])
        if said & {"topic", "to"} or (said == {"words", "topic"}):
            found = [Candidate(word, "keyword") for word in _FIRST_WORDS.get(self.part.magic or "", ())]
            return (found if first else []) + self._topics()
        if said & {"frame", "frames"}:
            return self._frames()
        if action.dest == "profile":
            return [Candidate(name, "profile") for name in self.names.profiles]
        if "cluster" in said:
            return [Candidate(alias, "cluster") for alias in self.names.aliases]
        if said & {"format", "key_format", "key-format"}:
            return [Candidate(name, "value") for name in _FORMATS]
        if said & {"param", "name=value"}:
            known = self.names.names().parameters
            return [Candidate(f"{name}=", "parameter", value) for name, value in known.items()]
        if "key=value" in said and action.dest == "set":
            return self._configuration()
        if said & {"time", "since", "until"}:
            return [Candidate(time, "value") for time in _TIMES]
        if action.dest == "chart":
            return self._chart()
        if said & {"name", "query", "job"} and not self.part.is_cell and self.part.magic != "table":
            return self._queries()
        return []

    def _topics(self) -> list[Candidate]:
        topics = self.names.topics
        return [Candidate(topic, "topic", alias) for alias, found in topics.items() for topic in found]

    def _queries(self) -> list[Candidate]:
        return [Candidate(name, "query", state) for name, state in self.names.queries.items()]

    def _frames(self) -> list[Candidate]:
        return [
            Candidate(name, "variable", type(value).__name__)
            for name, value in list(self.variables.items())
            if not name.startswith("_") and hasattr(value, "__arrow_c_stream__")
        ]

    def _configuration(self) -> list[Candidate]:
        from sdp_kernel.flink import connectors  # noqa: PLC0415 - loads a file

        key, equals, _ = self.typed.partition("=")
        options = connectors.session_options()
        if not equals:
            return [Candidate(f"{option.key}=", "option", option.detail) for option in options]
        chosen = next((option for option in options if option.key == key), None)
        values = connectors.values(chosen) if chosen is not None else ()
        return [Candidate(f"{key}={value}", "value") for value in values]

    def _chart(self) -> list[Candidate]:
        from sdp_kernel.flink.complete_scope import output_of  # noqa: PLC0415

        role, equals, _ = self.typed.partition("=")
        if equals:
            columns = output_of(self.part.body, self.names.names())
            return [Candidate(f"{role}={column.name}", "column", column.type) for column in columns]
        if self.words[-1:] == ["--chart"]:
            return [Candidate(mark, "value") for mark in _MARKS]
        said = {word.partition("=")[0] for word in self.words}
        return [Candidate(f"{role}=", "keyword") for role in ("x", "y", "color") if role not in said]


def _option(actions: Iterable[argparse.Action], word: str) -> argparse.Action | None:
    return next((action for action in actions if word in action.option_strings), None)


def _takes_value(action: argparse.Action) -> bool:
    return action.nargs != 0
