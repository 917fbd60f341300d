from collections.abc import Iterator
from typing import NamedTuple


class Word(NamedTuple):
    """A word and how many letters it has."""

    word: str
    letters: int


def words_of(note: str | None) -> Iterator[Word]:
    """Split a note into its words."""
    for word in (note or "").split():
        yield Word(word, len(word))
