"""`audiodec tokenize`: codes of a corpus, each file exactly once, whatever is killed."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiodec
from audiodec import ConfigError, FormatError, ModelError
from audiodec.prepare.manifest import make_manifest, read_manifest, write_manifest
from audiodec.tokenization.journal import read_journal
from audiodec.tokenization.reading import read_codes
from audiodec.tokenization.run import Plan, Tally, tokenize

pytest.importorskip("pyarrow", reason="needs the scale extra")
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
KINDS = ("parquet", "webdataset")


def make_corpus(folder: Path, count: int, seconds: float = 1, rate: int = 16000) -> Path:
    """Files of noise of different lengths."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        samples = random.normal(0, 0.1, round(seconds * rate) + 37 * number)
        soundfile.write(folder / f"{number:03d}.wav", samples, rate)
    return folder


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "audiodec", "tokenize", *(str(a) for a in arguments)]


def numbers(out: Path, model: Path) -> list[int]:
    return sorted(row.number for row, _ in read_codes(out, model))


def states(out: Path) -> dict[str, tuple[int, int]]:
    """What tells whether a shard was written again."""
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in out.glob("shard-*")}


def finished(out: Path) -> int:
    """Shards that the journal of a running command has."""
    path = out / "journal.jsonl"
    return path.read_bytes().count(b"\n") - 1 if path.exists() else 0


def wait_for_shards(process: subprocess.Popen[str], out: Path, count: int) -> None:
    while process.poll() is None and finished(out) < count:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()


@pytest.mark.parametrize("kind", KINDS)
def test_codes_are_those_of_the_library(
    kind: str, small: audiodec.Codec, small_folder: Path, tmp_path: Path
) -> None:
    corpus = make_corpus(tmp_path / "in", 4, seconds=3)
    plan = Plan.of(corpus, model=str(small_folder), bitrate=1.6, effort=3, kind=kind)  # type: ignore[arg-type]
    tally = tokenize(plan, tmp_path / "out")
    assert (tally.coded, tally.failed, tally.shards) == (4, 0, 1)
    seen = 0
    for row, codes in read_codes(tmp_path / "out", small_folder):
        audio, rate = soundfile.read(corpus / row.path, dtype="float32")
        expected = small.encode(audio, 1.6, 3)
        np.testing.assert_array_equal(codes, expected)
        assert codes.dtype == np.uint16
        assert (row.samples, row.original_samples) == (len(audio), len(audio))
        assert (row.sample_rate, row.original_rate) == (16000, rate)
        assert (row.stages, row.frames) == codes.shape
        np.testing.assert_array_equal(
            small.decode(codes, row.samples), small.decode(expected, len(audio))
        )
        seen += 1
    assert seen == 4


def test_manifests_rates_channels_and_repeated_files(
    small: audiodec.Codec, small_folder: Path, tmp_path: Path
) -> None:
    from audiodec.prepare.manifest import Recording

    stereo = np.random.default_rng(0).normal(0, 0.1, (44_100, 2)).astype(np.float32)
    (tmp_path / "corpus").mkdir()
    path = tmp_path / "corpus" / "a.wav"
    soundfile.write(path, stereo, 44_100, subtype="FLOAT")
    manifest = tmp_path / "m.csv"
    rows, _ = make_manifest([Recording(path, "anna", "valid")], manifest)
    write_manifest(rows * 3, manifest)  # a list may name a file several times
    tokenize(Plan.of(manifest, model=str(small_folder)), tmp_path / "out")
    listed = list(read_codes(tmp_path / "out", small_folder))
    assert [row.number for row, _ in listed] == [0, 1, 2]
    for row, codes in listed:
        assert (row.path, row.speaker, row.split) == ("corpus/a.wav", "anna", "valid")
        assert (row.original_rate, row.original_samples) == (44_100, 44_100)
        assert abs(row.samples - 16_000) <= 1
        np.testing.assert_array_equal(codes, listed[0][1])
    soundfile.write(path, stereo.mean(axis=1), 44_100, subtype="FLOAT")
    assert read_manifest(manifest) == rows * 3
    tokenize(Plan.of(tmp_path / "corpus", model=str(small_folder)), tmp_path / "mono")
    ((_, mono),) = read_codes(tmp_path / "mono", small_folder)
    np.testing.assert_array_equal(mono, listed[0][1])  # channels are mixed


def test_parquet_and_tar_as_others_read_them(small_folder: Path, tmp_path: Path) -> None:
    """With plain pyarrow and tarfile, as docs/tokenize.md says."""
    import io
    import tarfile

    import pyarrow.parquet as pq

    corpus = make_corpus(tmp_path / "in", 3)
    for kind in KINDS:
        plan = Plan.of(corpus, model=str(small_folder), kind=kind)  # type: ignore[arg-type]
        tokenize(plan, tmp_path / kind)
    table = pq.read_table(tmp_path / "parquet" / "shard-00000.parquet")
    about = json.loads(table.schema.metadata[b"audiodec"])
    info = audiodec.load(small_folder).info
    assert (about["model"], about["weights"]) == (info.id, info.files["weights.safetensors"])
    with tarfile.open(tmp_path / "webdataset" / "shard-00000.tar") as tar:
        for data in table.to_pylist():
            stem = f"{data['number']:09d}"
            flat = np.array(data.pop("codes"), np.uint16)
            npy = tar.extractfile(f"{stem}.npy")
            row = tar.extractfile(f"{stem}.json")
            assert npy is not None
            assert row is not None
            codes = np.load(io.BytesIO(npy.read()), allow_pickle=False)
            np.testing.assert_array_equal(codes, flat.reshape(data["stages"], data["frames"]))
            assert json.loads(row.read()) == {**data, "audiodec": about | {"format": "webdataset"}}


def test_what_cannot_be_read_is_listed_and_tried_again(small_folder: Path, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "in", 3)
    good = (corpus / "001.wav").read_bytes()
    (corpus / "001.wav").write_bytes(b"this is no audio")
    hostile = bytearray(good)
    hostile[24:28] = (1).to_bytes(4, "little")  # 1 Hz: resampled, minutes would be months
    (corpus / "003.wav").write_bytes(hostile)
    soundfile.write(corpus / "004.wav", np.zeros(0), 16000)
    out = tmp_path / "out"
    result = run(corpus, out, "--model", small_folder, "--json")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("audiodec: error: 3 of 5 files")
    assert "Traceback" not in result.stderr
    summary = json.loads(result.stdout)
    assert (summary["coded"], summary["failed"], summary["already"]) == (2, 3, 0)
    assert summary["times_real_time"] > 0
    with (out / "failed.csv").open(newline="") as file:
        failed = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert set(failed) == {"001.wav", "003.wav", "004.wav"}
    assert "not audio" in failed["001.wav"]
    assert "sample rate" in failed["003.wav"]
    assert "no audio" in failed["004.wav"]
    assert all(len(reason) <= 200 for reason in failed.values())
    before = states(out)
    for name in ("001.wav", "003.wav", "004.wav"):
        (corpus / name).write_bytes(good)
    result = run(corpus, out, "--model", small_folder)
    assert result.returncode == 0, result.stderr
    assert not (out / "failed.csv").exists()
    assert numbers(out, small_folder) == [0, 1, 2, 3, 4]
    assert before.items() <= states(out).items()


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
    options = ("--model", small_folder, "--shard-size", 0.004, "--format", kind, "--effort", 8)
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
    (out / f".shard-00098.{suffix}.x1y2").write_bytes(b"half written")
    result = run(corpus, out, *options, "--jobs", 2, "--json")
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["already"] + summary["coded"] == 24
    assert summary["already"] >= 3
    assert before.items() <= states(out).items(), "finished shards are not written again"
    assert numbers(out, small_folder) == list(range(24))
    assert {p.name for p in out.iterdir()} == {
        "journal.jsonl", *(shard.name for shard in read_journal(out)[1])
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


def test_other_settings_and_other_folders_are_refused(small_folder: Path, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "in", 2)
    out = tmp_path / "out"
    tokenize(Plan.of(corpus, model=str(small_folder), effort=4), out)
    before = states(out)
    result = run(corpus, out, "--model", small_folder, "--bitrate", 0.8)
    assert result.returncode == 1
    assert result.stderr.startswith(f"audiodec: error: {out} was begun with another stages (4, now")
    assert result.stderr.count("\n") == 1
    changes = ({"effort": 2}, {"effort": 4, "kind": "webdataset"}, {"effort": 4, "shard_hours": 1})
    for change, what in zip(changes, ("effort", "format", "shard_hours"), strict=True):
        with pytest.raises(ConfigError, match=f"another {what}"):
            tokenize(Plan.of(corpus, model=str(small_folder), **change), out)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="another model"):
        tokenize(Plan.of(corpus, effort=4), out)
    soundfile.write(corpus / "more.wav", np.zeros(1000), 16000)
    with pytest.raises(ConfigError, match="another list of files"):
        tokenize(Plan.of(corpus, model=str(small_folder), effort=4), out)
    with pytest.raises(ConfigError, match="holds other files"):
        tokenize(Plan.of(corpus, model=str(small_folder)), corpus)
    assert states(out) == before


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


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nothing.csv", "nothing.csv is no manifest"),
        ("nothing.txt", "give a manifest"),
        ("empty", "lists no audio"),
        ("binary.txt", "cannot be read as a list"),
        ("wide.csv", "cannot be read as a list"),
    ],
)
def test_lists_that_are_none(source: str, words: str, small_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "wide.csv").write_text('path,speaker\n"' + "x" * 200_000 + '",y\n')
    with pytest.raises(ConfigError, match=words):
        Plan.of(tmp_path / source, model=str(small_folder))


def test_codes_of_another_model_are_refused(small_folder: Path, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "in", 1)
    tokenize(Plan.of(corpus, model=str(small_folder)), tmp_path / "out")
    with pytest.raises(ModelError, match="holds codes of model small"):
        next(read_codes(tmp_path / "out"))
    with pytest.raises(FormatError, match="no journal"):
        next(read_codes(tmp_path / "in"))


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_shards_are_refused_or_read_as_they_were(
    kind: str, small_folder: Path, tmp_path: Path
) -> None:
    """Whatever bytes change: a clear error, or rows that are possible; never anything else."""
    corpus = make_corpus(tmp_path / "in", 2, seconds=0.3)
    out = tmp_path / "out"
    tokenize(Plan.of(corpus, model=str(small_folder), kind=kind), out)  # type: ignore[arg-type]
    (shard,) = out.glob("shard-*")
    whole, random, refused = shard.read_bytes(), np.random.default_rng(1), 0
    for _ in range(60):
        data = bytearray(whole)
        for place in random.integers(0, len(data), 6):
            data[place] = random.integers(256)
        shard.write_bytes(data[: random.integers(1, len(data))] if random.random() < 0.3 else data)
        seen = 0
        try:
            for row, codes in read_codes(out, small_folder):
                assert codes.shape == (row.stages, row.frames)
                assert codes.max() < 256
                seen += 1
            assert seen == 2
        except FormatError:
            refused += 1
    assert refused > 10
    shard.unlink()
    with pytest.raises(FormatError):
        list(read_codes(out, small_folder))


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
    options = ("--model", small_folder, "--shard-size", 0.02, "--effort", 8)
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
