"""Scores of codecs on clips: what is done again and what is not, kills, mistakes."""

from __future__ import annotations

import csv
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiodec
from audiodec.evaluation.codecs import OursSpec, Spec
from audiodec.evaluation.quality import (
    Benchmark,
    Clip,
    Score,
    Store,
    UncodedSpec,
    find_clips,
    read_clip,
    read_scores,
    summarise,
)
from tests.conftest import SPEECH
from tests.tiny_codecs import CountedSpec, DeadlySpec

QUICK = ("SNR dB", "mel distance")


def write_clips(folder: Path, count: int, seconds: float = 0.4) -> list[Path]:
    """Pieces of real speech, each at another place."""
    samples, rate = soundfile.read(SPEECH)
    paths = [folder / f"clip{i}.flac" for i in range(count)]
    for i, path in enumerate(paths):
        start = 12000 + 3000 * i
        soundfile.write(path, samples[start : start + round(seconds * rate)], rate)
    return paths


def scored(
    specs: Sequence[Spec], clips: Sequence[Clip], store: Store | None = None,
    metrics: Sequence[str] = QUICK, jobs: int = 1,
) -> list[Score]:  # fmt: skip
    run = Benchmark(specs, clips, metrics, store)
    list(run.run(jobs))
    return run.scores()


def assert_alike(found: Sequence[Score], expected: Sequence[Score]) -> None:
    """The same but for the last bits, which depend on where arrays lie in memory."""
    assert [replace(s, values={}) for s in found] == [replace(s, values={}) for s in expected]
    for a, b in zip(found, expected, strict=True):
        assert a.values == pytest.approx(b.values)


def test_a_higher_rate_scores_higher_and_two_processes_agree_with_one(tmp_path: Path) -> None:
    clips = find_clips(write_clips(tmp_path, 2, 1.5))
    specs = [OursSpec(None, 3), OursSpec(None, 12)]
    alone = scored(specs, clips, metrics=("PESQ-WB", "ESTOI"))
    assert_alike(scored(specs, clips, metrics=("PESQ-WB", "ESTOI"), jobs=2), alone)
    low, high = (row for row in summarise(alone).values())
    assert (low["kbps"].value, high["kbps"].value) == pytest.approx((3, 12), rel=0.01)
    for metric in ("PESQ-WB", "ESTOI"):
        assert high[metric].value > low[metric].value
    assert [s.latency_ms for s in alone[:2]] == pytest.approx([2 * 320 / 48, 320 / 48])


def test_only_what_is_not_known_is_done(tmp_path: Path) -> None:
    paths, log = write_clips(tmp_path, 3), tmp_path / "log"
    specs = [CountedSpec(log, 4), CountedSpec(log, 8)]
    first = scored(specs, find_clips(paths), Store(tmp_path / "cache"), ("SNR dB",))
    assert len(log.read_text()) == 6

    def again(*metrics: str) -> int:
        before = len(log.read_text())
        store = Store(tmp_path / "cache")
        found = scored(specs, find_clips(paths), store, ("SNR dB", *metrics))
        assert [s.values["SNR dB"] for s in found][:2] == [s.values["SNR dB"] for s in first][:2]
        return len(log.read_text()) - before

    assert again() == 0
    assert again("mel distance") == 6  # another metric
    soundfile.write(paths[2], 0.5 * soundfile.read(paths[2])[0], 48000)
    assert again("mel distance") == 2  # other bytes under the same name
    paths[1].rename(tmp_path / "renamed.flac")
    paths[1] = tmp_path / "renamed.flac"
    assert again("mel distance") == 0  # the same bytes under another name


def test_kept_sound_is_what_was_scored(tmp_path: Path) -> None:
    (clip, *_) = clips = find_clips(write_clips(tmp_path, 2))
    folder, store = tmp_path / "sounds", Store()
    assert len(Benchmark([UncodedSpec()], clips, QUICK, store, [clip.name], folder).tasks) == 2
    list(Benchmark([UncodedSpec()], clips, QUICK, store).run())
    late = Benchmark([UncodedSpec()], clips, QUICK, store, [clip.name], folder)
    assert len(late.tasks) == 1  # known, but not kept yet
    list(late.run())
    for name in ("uncoded", "original"):
        kept = read_clip(folder / clip.name / f"{name}.flac")
        np.testing.assert_allclose(kept, read_clip(clip.path), atol=1e-4)
    assert not Benchmark([UncodedSpec()], clips, QUICK, store, [clip.name], folder).tasks


def test_a_codec_hears_noise_and_is_scored_against_clean_speech(tmp_path: Path) -> None:
    (clean,) = write_clips(tmp_path, 1)
    samples = soundfile.read(clean)[0]
    noise = np.random.default_rng(0).normal(size=len(samples))
    noise *= np.sqrt(np.square(samples).sum() / np.square(noise).sum()) * 10 ** (-5 / 20)
    soundfile.write(tmp_path / "noisy.wav", samples + noise, 48000, subtype="FLOAT")
    manifest = tmp_path / "list.csv"
    manifest.write_text("path,speaker,noisy,gender\nclip0.flac,ann,noisy.wav,f\n")
    (score,) = scored([UncodedSpec()], find_clips([manifest]))
    assert score.values["SNR dB"] == pytest.approx(5, abs=0.01)
    assert score.labels == {"speaker": "ann", "gender": "f"}


def test_clips_of_folders_tables_and_labels(tmp_path: Path) -> None:
    for speaker in ("ann", "ben"):
        (tmp_path / speaker).mkdir()
        write_clips(tmp_path / speaker, 2)
    labels = tmp_path / "labels.csv"
    labels.write_text("clip,language,source\nclip0,da,x\nclip1,,x\n")
    found = find_clips([tmp_path], labels)
    assert len({clip.name for clip in found}) == 4
    assert found[0].name.endswith("ann/clip0")
    assert [dict(clip.labels) for clip in found] == [{"language": "da"}, {}] * 2
    assert [c.name for c in find_clips([tmp_path / "ben"])] == ["clip0", "clip1"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("clip,language\nother,da\n", "names none of these clips"),
        ("name,language\nclip0,da\n", "needs a column 'clip'"),
        ("clip,language\nclip0,da\n,en\n", "that no row leaves empty"),
    ],
)
def test_labels_that_do_not_fit(tmp_path: Path, table: str, words: str) -> None:
    (tmp_path / "labels.csv").write_text(table)
    with pytest.raises(audiodec.ConfigError, match=words):
        find_clips(write_clips(tmp_path, 1), tmp_path / "labels.csv")


def test_mistakes_show_before_anything_is_scored(tmp_path: Path) -> None:
    paths = write_clips(tmp_path, 1)
    clips = find_clips(paths)
    with pytest.raises(audiodec.ModelError, match="no model"):
        Benchmark([OursSpec("nonsense", 3)], clips)
    with pytest.raises(audiodec.ConfigError, match="no metric 'MOS'"):
        Benchmark([UncodedSpec()], clips, ["MOS"])
    with pytest.raises(audiodec.ConfigError, match="two codecs are called 'uncoded'"):
        Benchmark([UncodedSpec(), UncodedSpec()], clips)
    with pytest.raises(audiodec.ConfigError, match="no clip 'clip9' to keep"):
        Benchmark([UncodedSpec()], clips, QUICK, None, ["clip9"], tmp_path)
    with pytest.raises(audiodec.AudioError, match=r"missing.wav cannot be read"):
        Benchmark([UncodedSpec()], find_clips([tmp_path / "missing.wav"]))
    (tmp_path / "bad.db").write_text("no database, but as long as the header of one would be" * 9)
    with pytest.raises(audiodec.AudioError, match="remove it to start anew"):
        Store(tmp_path / "bad.db")


def test_a_long_clip_is_refused_before_it_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.flac", np.zeros(8000 * 601), 8000)
    with pytest.raises(audiodec.AudioError, match="longer than 600 s"):
        read_clip(tmp_path / "long.flac")


def test_a_process_that_dies_is_one_clear_line(tmp_path: Path) -> None:
    run = Benchmark([DeadlySpec()], find_clips(write_clips(tmp_path, 2)), QUICK)
    with pytest.raises(audiodec.AudioDecError, match="a process died"):
        list(run.run(jobs=2))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc to see processes end")
def test_killed_anywhere_it_goes_on(tmp_path: Path) -> None:
    paths = write_clips(tmp_path, 40)  # so many that the kill comes before the end
    total = 3 * len(paths)

    cache = tmp_path / "out" / "cache.sqlite"
    options = ["--codec", "ours", "--codec", "none", "--bitrate", "3", "--bitrate", "12"]
    options += [word for metric in QUICK for word in ("--metric", metric)]
    command = [
        sys.executable, "-m", "audiodec", "bench", "quality", *map(str, paths), *options,
        "--jobs", "2", "--out", str(cache.parent),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not _stored(cache) >= 3 and time.monotonic() < deadline:
        time.sleep(0.001)  # between two of its writes
    workers = _children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = _stored(cache)
    assert 3 <= done < total
    while any(map(_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, workers))  # they end with their parent
    assert not (tmp_path / "out" / "scores.parquet").exists()

    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{done} of {total} are known already" in result.stderr
    killed, _ = read_scores(tmp_path / "out" / "scores.parquet")
    specs = [OursSpec(None, 3), OursSpec(None, 12), UncodedSpec()]
    assert_alike(killed, scored(specs, find_clips(paths)))
    assert len(killed) == total


def _stored(cache: Path) -> int:
    """Clips through codecs in a store that another process writes."""
    if not cache.exists():
        return 0
    # No waiting for a lock: all would be written before this is let in.
    with closing(sqlite3.connect(f"file:{cache}?mode=ro", uri=True, timeout=0)) as database:
        try:
            (count,) = database.execute("select count(*) from scores where metric = 'kbps'")
        except sqlite3.OperationalError:  # not there yet, or being written
            return 0
    return int(count[0])


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def _alive(pid: int) -> bool:
    """Whether it runs; a zombie that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_the_list_of_validation_clips_labels_them() -> None:
    path = Path(__file__).parents[1] / "recipes" / "data" / "validation.csv"
    with path.open(newline="") as file:
        names = [row["clip"] for row in csv.DictReader(file)]
    clips = find_clips([Path(f"{name}.flac") for name in names], path)
    assert all(
        clip.labels.keys() - {"gender"} == {"speaker", "language", "group"} for clip in clips
    )
    stated = {
        clip.labels["speaker"]: clip.labels["gender"] for clip in clips if "gender" in clip.labels
    }
    assert stated["jenny"] == "female"
    assert not any(speaker.startswith("tuxpaint") for speaker in stated)  # its packages do not say
