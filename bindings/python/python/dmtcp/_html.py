"""Tables for notebooks."""

from __future__ import annotations

from html import escape
from typing import Iterable, List, Sequence, TypeVar

T = TypeVar("T")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with these heads."""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """A table of names and values."""
    return table(("", ""), pairs)


class Table(List[T]):
    """A list that a notebook shows as a table."""

    _heads: Sequence[str] = ()

    def _row(self, one: T) -> Sequence[object]:
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return table(self._heads, (self._row(one) for one in self))
