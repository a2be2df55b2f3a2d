"""`audiodec tokenize` under kills: nothing is lost, doubled or written again."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import audiodec
from audiodec.tokenization.journal import read_journal
from audiodec.tokenization.reading import read_codes
from audiodec.tokenization.run import Plan, Tally, tokenize
from tests.tokenize_tools import (
    command,
    finished,
    make_corpus,
    numbers,
    run,
    states,
    wait_for_shards,
)

pytest.importorskip("pyarrow", reason="needs the scale extra")
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
KINDS = ("parquet", "webdataset")


def test_a_killed_worker_costs_nothing(small_folder: Path, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "in", 12)
    killed = []

    def kill_one(tally: Tally) -> None:
        if tally.coded in (2, 5):
            worker = multiprocessing.active_children()[0]
            os.kill(worker.pid, signal.SIGKILL)
            killed.append(worker.pid)

    plan = Plan.of(corpus, model=str(small_folder), shard_hours=0.001)
    tally = tokenize(plan, tmp_path / "out", jobs=2, progress=kill_one)
    assert len(killed) == 2
    assert (tally.coded, tally.failed) == (12, 0)
    assert numbers(tmp_path / "out", small_folder) == list(range(12))


def test_a_file_that_kills_every_worker_is_given_up(small_folder: Path, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "in", 3)
    seen: set[int] = set()

    def kill_three() -> None:
        while len(seen) < 3:
            for worker in multiprocessing.active_children():
                if worker.pid is not None and worker.pid not in seen:
                    seen.add(worker.pid)
                    os.kill(worker.pid, signal.SIGKILL)
            time.sleep(0.01)

    killer = threading.Thread(target=kill_three)
    killer.start()
    tally = tokenize(Plan.of(corpus, model=str(small_folder)), tmp_path / "out")
    killer.join()
    assert (tally.coded, tally.failed) == (2, 1)
    assert "3 workers died of it" in (tmp_path / "out" / "failed.csv").read_text()
    assert numbers(tmp_path / "out", small_folder) == [1, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_command_goes_on(kind: str, small_folder: Path, tmp_path: Path) -> None:
    """Killed twice, and once while its files look as if the kill had struck between two steps."""
    corpus = make_corpus(tmp_path / "in", 24, seconds=8)
    out = tmp_path / "out"
    options = ("--model", small_folder, "--shard-size", 0.004, "--format", kind, "--beam-width", 8)
    before: dict[str, tuple[int, int]] = {}
    for count in (1, 3):
        process = subprocess.Popen(
            command(corpus, out, *options), stderr=subprocess.PIPE, text=True
        )
        wait_for_shards(process, out, count)
        process.kill()
        process.communicate()
        whole = {shard.name for shard in read_journal(out)[1]}
        assert before.items() <= states(out).items()
        before = {name: state for name, state in states(out).items() if name in whole}
    with (out / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"name": "shard-000')  # a line that did not get through
    suffix = next(iter(before)).rpartition(".")[2]
    (out / f"shard-00099.{suffix}").write_bytes(b"written, but not noted")
    (out / ".audiodec-0123abcd").write_bytes(b"half written")
    result = run(corpus, out, *options, "--jobs", 2, "--json")
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["already"] + summary["coded"] == 24
    assert summary["already"] >= 3
    assert before.items() <= states(out).items(), "finished shards are not written again"
    assert numbers(out, small_folder) == list(range(24))
    assert {p.name for p in out.iterdir()} == {
        "journal.jsonl", "journal.lock", *(shard.name for shard in read_journal(out)[1])
    }  # fmt: skip
    after = states(out)
    assert json.loads(run(corpus, out, *options, "--json").stdout)["coded"] == 0
    assert states(out) == after


def test_ctrl_c_keeps_what_was_coded(small_folder: Path, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "in", 40, seconds=5)
    out = tmp_path / "out"

    def interrupt(tally: Tally) -> None:
        if tally.coded == 3:
            raise KeyboardInterrupt

    plan = Plan.of(corpus, model=str(small_folder))
    with pytest.raises(KeyboardInterrupt):
        tokenize(plan, out, progress=interrupt)
    assert numbers(out, small_folder) == [0, 1, 2]
    assert not multiprocessing.active_children()


def test_two_commands_cannot_write_to_one_folder(small_folder: Path, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "in", 2)
    plan = Plan.of(corpus, model=str(small_folder))
    said = []

    def begin_another(tally: Tally) -> None:
        with pytest.raises(audiodec.AudioDecError) as caught:
            tokenize(plan, tmp_path / "out")
        said.append(str(caught.value))

    tokenize(plan, tmp_path / "out", progress=begin_another)
    assert len(said) == 2
    assert "another audiodec tokenize" in said[0]
    assert numbers(tmp_path / "out", small_folder) == [0, 1]


def descendants(pid: int) -> list[int]:
    """Processes below one."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has gone
        parents.setdefault(parent, []).append(int(stat.parent.name))
    found = list(parents.get(pid, []))
    for child in found:
        found += parents.get(child, [])
    return found


def actors(pid: int) -> list[int]:
    """Actors at work below a command."""
    found = []
    for child in descendants(pid):
        try:
            if b"_Actor" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
        except OSError:
            continue
    return found


@pytest.mark.slow
@needs_proc
def test_ray_gives_the_same_and_survives_kills(small_folder: Path, tmp_path: Path) -> None:
    """An actor is killed, then the whole command; then it goes on."""
    pytest.importorskip("ray", reason="needs the scale extra")
    corpus = make_corpus(tmp_path / "in", 80, seconds=10)
    (corpus / "bad.wav").write_text("no audio")
    options = ("--model", small_folder, "--shard-size", 0.02, "--beam-width", 8)
    local, out = tmp_path / "local", tmp_path / "out"
    assert run(corpus, local, *options).returncode == 1
    on_ray = (*options, "--ray", "local", "--jobs", 2)
    process = subprocess.Popen(
        command(corpus, out, *on_ray, "--json"),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    wait_for_shards(process, out, 1)
    (first, *_) = actors(process.pid)
    os.kill(first, signal.SIGKILL)
    wait_for_shards(process, out, finished(out) + 2)
    assert first not in actors(process.pid)
    workers = actors(process.pid)
    process.kill()
    said, _ = process.communicate()
    assert said == "", "what Ray says of dead actors is kept off stdout"
    before = {s.name: states(out)[s.name] for s in read_journal(out)[1]}
    result = run(corpus, out, *on_ray, "--json")
    assert result.returncode == 1
    assert result.stderr.endswith(f"1 of 81 files could not be coded: see {out / 'failed.csv'}\n")
    summary = json.loads(result.stdout)
    assert summary["already"] + summary["coded"] == 80
    assert summary["already"] > 0
    assert before.items() <= states(out).items()
    expected = {row.number: (row, codes) for row, codes in read_codes(local, small_folder)}
    assert numbers(out, small_folder) == sorted(expected) == list(range(80))
    for row, codes in read_codes(out, small_folder):
        assert row == expected[row.number][0]
        np.testing.assert_array_equal(codes, expected[row.number][1])
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()], "they end with it"
