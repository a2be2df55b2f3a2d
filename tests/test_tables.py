"""Tables on a terminal of 80 columns: every name and number is there, whole."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

import audiodec.cli
from audiodec.cli.tables import facts_table, print_table
from audiodec.evaluation.metrics import ALL_METRICS

NAMES = ["AudioDec speech-48k-7 beam 4 12", "Opus 1.6.1 auto + NoLACE 12", "EnCodec 24 kHz 1.5"]
COLUMNS = ["codec", "measured kbps", *ALL_METRICS]
CELLS = [[f"{row}.{column:02d} ±0.27" for column in range(len(COLUMNS) - 1)] for row in range(3)]


def printed(width: int) -> str:
    out = Console(file=io.StringIO(), width=width)
    rows = [[name, *cells] for name, cells in zip(NAMES, CELLS, strict=True)]
    print_table(COLUMNS, rows, title="all metrics", caption="of three codecs", console=out)
    return out.file.getvalue()  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_nothing_is_cut(width: int) -> None:
    text = printed(width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for cell in (cell for cells in CELLS for cell in cells):
        assert text.count(cell) == 1
    for word in (word for column in COLUMNS for word in column.split()):
        assert word in text
    assert text.count("all metrics") == text.count("of three codecs") == 1


def test_names_are_whole_where_there_is_room() -> None:
    text = printed(80)
    tables = text.count("codec  ")
    assert tables > 1
    for name in NAMES:
        assert text.count(name) == tables


def test_a_small_table_is_one_table() -> None:
    out = Console(file=io.StringIO(), width=80)
    print_table(("codec", "kbps"), [["ours", "12"]], console=out)
    assert out.file.getvalue().count("codec") == 1  # type: ignore[attr-defined]


def test_long_values_go_on_in_the_next_line() -> None:
    out = Console(file=io.StringIO(), width=40)
    table, path = facts_table(), "/".join(["a-folder-with-a-long-name"] * 4)
    table.add_row("written", path)
    out.print(table)
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in text
    assert re.sub(r"\s", "", text) == f"written{path}"


def test_markup_in_a_name_is_a_name() -> None:
    out = Console(file=io.StringIO(), width=80)
    print_table(("codec", "kbps"), [["[red]mine[/red]", "12"]], console=out)
    assert "[red]mine[/red]" in out.file.getvalue()  # type: ignore[attr-defined]


def test_every_command_prints_its_tables_so() -> None:
    for path in Path(audiodec.cli.__file__).parent.glob("*.py"):
        if path.name != "tables.py":
            assert not re.search(r"\bTable\(", path.read_text()), path
