"""`audiodec tokenize`: codes of a corpus, each file exactly once, whatever is killed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiodec
from audiodec import ConfigError, FormatError, ModelError
from audiodec.prepare.manifest import make_manifest, read_manifest, write_manifest
from audiodec.tokenization.reading import read_codes
from audiodec.tokenization.run import Plan, tokenize
from tests.tokenize_tools import (
    make_corpus,
    numbers,
    run,
    states,
)

pytest.importorskip("pyarrow", reason="needs the scale extra")
KINDS = ("parquet", "webdataset")


@pytest.mark.parametrize("kind", KINDS)
def test_codes_are_those_of_the_library(
    kind: str, small: audiodec.Codec, small_folder: Path, tmp_path: Path
) -> None:
    corpus = make_corpus(tmp_path / "in", 4, seconds=3)
    plan = Plan.of(corpus, model=str(small_folder), bitrate=1.6, beam_width=3, kind=kind)  # type: ignore[arg-type]
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
        assert (row.codebooks, row.frames) == codes.shape
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
            np.testing.assert_array_equal(codes, flat.reshape(data["codebooks"], data["frames"]))
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


def test_other_settings_and_other_folders_are_refused(small_folder: Path, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "in", 2)
    out = tmp_path / "out"
    tokenize(Plan.of(corpus, model=str(small_folder), beam_width=4), out)
    before = states(out)
    result = run(corpus, out, "--model", small_folder, "--bitrate", 0.8)
    assert result.returncode == 1
    assert result.stderr.startswith(
        f"audiodec: error: {out} was begun with another codebooks (4, now"
    )
    assert result.stderr.count("\n") == 1
    changes = (
        {"beam_width": 2},
        {"beam_width": 4, "kind": "webdataset"},
        {"beam_width": 4, "shard_hours": 1},
    )
    for change, what in zip(changes, ("beam_width", "format", "shard_hours"), strict=True):
        with pytest.raises(ConfigError, match=f"another {what}"):
            tokenize(Plan.of(corpus, model=str(small_folder), **change), out)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="another model"):
        tokenize(Plan.of(corpus, beam_width=4), out)
    soundfile.write(corpus / "more.wav", np.zeros(1000), 16000)
    with pytest.raises(ConfigError, match="another list of files"):
        tokenize(Plan.of(corpus, model=str(small_folder), beam_width=4), out)
    with pytest.raises(ConfigError, match="holds other files"):
        tokenize(Plan.of(corpus, model=str(small_folder)), corpus)
    assert states(out) == before


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
                assert codes.shape == (row.codebooks, row.frames)
                assert codes.max() < 256
                seen += 1
            assert seen == 2
        except FormatError:
            refused += 1
    assert refused > 10
    shard.unlink()
    with pytest.raises(FormatError):
        list(read_codes(out, small_folder))
