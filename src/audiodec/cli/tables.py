"""Results on a terminal: nothing is cut. Columns without room come in a further table below."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from audiodec.cli.common import results

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

MAX_NAME_SHARE = 0.45  # of the terminal: longer names take several lines


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str = "",
    caption: str = "",
    console: Console | None = None,
) -> None:
    """Print a table to stdout.

    Args:
        columns: Headings. The first is that of the names, which every further table repeats; the
            others are numbers and stand to the right.
        rows: As many cells each.
        title: Above the first table.
        caption: Below the last one.
        console: Where to, and how wide; the terminal if not given.
    """
    console, rows = console or results, list(rows)
    first, last = 1, len(columns)
    while first < len(columns):
        table = _table(columns, rows, range(first, last), console.width)
        # `console.measure` would never say more than the width.
        if last > first + 1 and table.__rich_measure__(console, console.options).minimum > (
            console.width
        ):
            last -= 1
            continue
        table.title, title = title or None, ""
        table.caption = (caption or None) if last == len(columns) else None
        console.print(table)
        first, last = last, len(columns)


def facts_table() -> Table:
    """Make an empty table of names and values; values that are too long go on in the next line."""
    from rich.table import Table

    table = Table(show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], shown: Iterable[int], width: int
) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, title_justify="left", caption_justify="left")
    widest = max((len(row[0]) for row in rows), default=0)
    room = min(max(widest, _longest_word(columns[0])), round(MAX_NAME_SHARE * width))
    table.add_column(_plain(columns[0]), width=room, overflow="fold")
    shown = list(shown)
    for n in shown:
        needed = max([_longest_word(columns[n]), *(len(row[n]) for row in rows)])
        table.add_column(_plain(columns[n]), justify="right", width=needed, overflow="fold")
    for row in rows:
        table.add_row(*(_plain(row[n]) for n in (0, *shown)))
    return table


def _plain(text: str) -> Text:
    """As it is: names may have brackets in them."""
    from rich.text import Text

    return Text(text)


def _longest_word(text: str) -> int:
    return max(map(len, text.split()), default=0)
