"""Listening tests: clips, orders, answers, the server, and what simulated listeners prove."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("uvicorn", reason="the extra `bench` is not installed")
pytest.importorskip("pyloudnorm", reason="the extra `bench` is not installed")
from pyloudnorm import Meter

from audiodec.cli.main import main
from audiodec.errors import AudioError, ConfigError
from audiodec.evaluation.listening.create import create
from audiodec.evaluation.listening.definition import (
    ANCHORS,
    MID_ANCHOR,
    REFERENCE,
    Clip,
    Method,
    Test,
    load_test,
)
from audiodec.evaluation.listening.design import balanced, plan
from audiodec.evaluation.listening.stimuli import equalise, low_pass
from tests.conftest import SPEECH

RATE = 48000


def make_folders(root: Path, clips: int = 2, seconds: float = 1) -> dict[str, Path]:
    """A reference and two systems, of different level, one of them late."""
    speech = soundfile.read(SPEECH)[0]
    random = np.random.default_rng(0)
    folders = {name: root / name for name in (REFERENCE, "fine", "noisy")}
    for number in range(clips):
        clip = np.resize(np.roll(speech, -15000 * number), int(seconds * RATE))
        noise = random.normal(0, 0.005, len(clip))
        sounds = {REFERENCE: clip, "fine": 0.3 * clip, "noisy": np.pad(clip + noise, (2400, 0))}
        for name, sound in sounds.items():
            folders[name].mkdir(parents=True, exist_ok=True)
            soundfile.write(folders[name] / f"clip{number}.wav", sound, RATE, subtype="FLOAT")
    return folders


def make_test(root: Path, method: Method, clips: int = 2, seconds: float = 1) -> Path:
    folders = make_folders(root / "systems", clips, seconds)
    reference = folders.pop(REFERENCE)
    create(root / "test", method, "A test", folders, reference)
    return root / "test"


def imagined(method: Method, clips: int, systems: int, seed: int = 0) -> Test:
    """A test without sounds."""
    names = [f"system {n}" for n in range(systems)]
    names = [*names, REFERENCE, *ANCHORS] if method == "mushra" else names
    files = {name: f"{n:016x}.flac" for n, name in enumerate(names)}
    made = [Clip(name=f"clip {n}", files=files) for n in range(clips)]
    return Test(
        method=method, title="Imagined", seed=seed, rate=RATE, systems=tuple(names),
        clips=tuple(made),
    )  # fmt: skip


# Clips


@pytest.mark.parametrize("cutoff", [3500, 7000])
def test_anchors_meet_the_mask_of_the_recommendation(cutoff: int) -> None:
    impulse = np.zeros((RATE, 1))
    impulse[RATE // 2] = 1
    response = low_pass(impulse, RATE, cutoff)[:, 0]
    assert np.argmax(response) == RATE // 2  # no delay
    level = 20 * np.log10(np.abs(np.fft.rfft(response)) + 1e-12)  # a bin per Hz
    assert np.abs(level[:cutoff]).max() <= 0.1
    assert level[cutoff * 8 // 7 :].max() <= -25
    assert level[cutoff * 9 // 7 :].max() <= -50
    with pytest.raises(AudioError, match="needs clips of 16000 Hz"):
        low_pass(impulse, 8000, 7000)


def test_clips_are_equally_loud_in_time_and_anonymous(tmp_path: Path) -> None:
    folder = make_test(tmp_path, "mushra", clips=2, seconds=2)
    test = load_test(folder)
    assert set(test.systems) == {REFERENCE, "fine", "noisy", *ANCHORS}
    for clip in test.clips:
        sounds = {name: soundfile.read(folder / file)[0] for name, file in clip.files.items()}
        for sound in sounds.values():
            assert Meter(RATE).integrated_loudness(sound) == pytest.approx(-23, abs=0.05)
            assert len(sound) == 2 * RATE
        # 50 ms late before; what was only softer is now the same.
        assert np.corrcoef(sounds[REFERENCE], sounds["noisy"])[0, 1] > 0.9
        np.testing.assert_allclose(sounds["fine"], sounds[REFERENCE], atol=1e-5)
    names = [path.name for path in folder.iterdir()]
    assert len(names) == 2 * 5 + 1
    assert all(re.fullmatch(r"[0-9a-f]{16}\.flac|test\.json", name) for name in names)


def test_loud_peaks_lower_all_versions_of_a_clip_alike() -> None:
    quiet = np.random.default_rng(0).normal(0, 0.01, (RATE, 1))
    peaky = quiet.copy()
    peaky[100] = 1
    sounds = equalise({"quiet": quiet, "peaky": peaky}, RATE)
    assert max(np.abs(s).max() for s in sounds.values()) <= 10 ** (-1 / 20) + 1e-9
    quiet_lufs, peaky_lufs = (Meter(RATE).integrated_loudness(s) for s in sounds.values())
    assert quiet_lufs == pytest.approx(peaky_lufs, abs=0.05)
    with pytest.raises(AudioError, match="silent"):
        equalise({"nothing": np.zeros((RATE, 1))}, RATE)


def test_without_a_reference_versions_may_differ_in_length(tmp_path: Path) -> None:
    folders = make_folders(tmp_path / "systems", clips=1, seconds=1)
    reference = folders.pop(REFERENCE)
    longer = folders["fine"] / "clip0.wav"
    soundfile.write(longer, np.resize(soundfile.read(longer)[0], 2 * RATE), RATE)
    test, _ = create(tmp_path / "mos", "mos", "Voices", folders, None)
    lengths = {soundfile.info(tmp_path / "mos" / f).frames for f in test.clips[0].files.values()}
    assert 2 * RATE in lengths
    assert len(lengths) == 2
    with pytest.raises(AudioError, match=r"is 1\.00 s longer than the reference"):
        create(tmp_path / "abx", "abx", "Voices", folders, reference)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mos", "systems"]


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    """The command, in this process: starting another for each mistake takes long."""
    monkeypatch.setattr("sys.argv", ["audiodec", "listen", *map(str, arguments)])
    main()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "MUSHRA needs a reference"),
        ("--system fine", "write NAME=FOLDER"),
        ("--reference systems/fine --system a=nowhere", "nowhere is no folder"),
        ("--systems systems --system fine=systems/fine", "two systems are called fine"),
        ("--systems systems --system a=part", "part has no clip1, which reference has"),
        ("--systems systems --system anchor=empty", "empty holds no audio files"),
        ("--systems broken", "is not audio that can be read"),
        ("--systems long", "longer than 60 s"),
        ("--systems silent", "clip x: reference is silent"),
        ("--systems many", "BS.1534-3 allows 12"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    make_folders(tmp_path / "systems")
    (tmp_path / "empty").mkdir()
    (tmp_path / "part").mkdir()
    soundfile.write(tmp_path / "part" / "clip0.wav", np.zeros(RATE), RATE)
    for kind, names in (("broken", "a"), ("long", "a"), ("silent", "a"), ("many", "abcdefghij")):
        for name in ("reference", *names):
            path = tmp_path / kind / name / "x.wav"
            path.parent.mkdir(parents=True)
            soundfile.write(path, np.zeros((61 if kind == "long" else 1) * 16000), 16000)
            if kind == "broken":
                path.write_text("no audio")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SystemExit) as stopped:
        command(monkeypatch, "create", "out", "--method", "mushra", *arguments.split())
    assert stopped.value.code == 1
    errors = capsys.readouterr().err
    assert words in errors
    assert errors.startswith("audiodec: error: ")
    assert errors.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_names_of_the_test_itself_are_not_for_systems(tmp_path: Path) -> None:
    folders = make_folders(tmp_path)
    with pytest.raises(ConfigError, match="cannot be called 'anchor 7 kHz'"):
        create(tmp_path / "out", "mos", "x", {MID_ANCHOR: folders["fine"]}, folders[REFERENCE])
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match="exists"):
        create(tmp_path / "out", "mos", "x", {"fine": folders["fine"]}, folders[REFERENCE])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clips": []}, "clips"),
        ({"rate": 10**9}, "rate"),
        ({"method": "vote"}, "method"),
        ({"systems": ["a"]}, "does not have exactly"),
        ({"extra": 1}, "no such setting"),
        ({"clips": [{"name": "x", "files": {"a": "../secret.flac"}}]}, "files"),
    ],
)
def test_a_test_from_elsewhere_is_checked(tmp_path: Path, change: object, words: str) -> None:
    folder = make_test(tmp_path, "mos", clips=1)
    data = json.loads((folder / "test.json").read_text())
    (folder / "test.json").write_text(json.dumps(data | change))
    with pytest.raises(ConfigError, match=words):
        load_test(folder)


# Orders


@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_squares_balance_places_and_neighbours(count: int) -> None:
    rows = [balanced(range(count), listener, "key") for listener in range(2 * count)]
    for place in range(count):
        assert set(Counter(row[place] for row in rows[:count]).values()) == {1}
    neighbours = Counter(pair for row in rows for pair in pairwise(row))
    assert set(neighbours.values()) <= {2}
    assert len(neighbours) == count * (count - 1)


def test_mushra_orders_are_balanced_and_stay(tmp_path: Path) -> None:
    test = imagined("mushra", clips=4, systems=3)
    plans = [plan(test, listener) for listener in range(12)]
    assert plans == [plan(test, listener) for listener in range(12)]
    assert len({tuple(t.clip.name for t in p) for p in plans}) > 4
    places: Counter[tuple[str, int, str]] = Counter()
    for trials in plans:
        assert [t.practice for t in trials] == [True] + [False] * 4
        for trial in trials[1:]:
            assert trial.stimuli[-1] == REFERENCE  # the open one, beside the hidden one
            places.update((trial.clip.name, n, s) for n, s in enumerate(trial.stimuli[:-1]))
    assert set(places.values()) == {2}  # 12 listeners, 6 stimuli
    assert len(places) == 4 * 6 * 6


def test_mos_rounds_hold_each_clip_once_and_spread_systems() -> None:
    test = imagined("mos", clips=6, systems=3)
    for listener in range(9):
        trials = [t for t in plan(test, listener) if not t.practice]
        assert len({(t.clip.name, t.stimuli) for t in trials}) == len(trials) == 18
        assert all(a.clip != b.clip for a, b in pairwise(trials))
        for start in (0, 6, 12):
            counts = Counter(t.stimuli[0] for t in trials[start : start + 6])
            assert set(counts.values()) == {2}
    first = Counter(plan(test, n)[3].stimuli[0] for n in range(30))
    assert max(first.values()) <= 20


def test_abx_x_is_each_half_of_the_times() -> None:
    test = imagined("abx", clips=3, systems=3)
    trials = [t for n in range(4) for t in plan(test, n) if not t.practice]
    assert len(trials) == 4 * 9
    assert sum(t.stimuli[2] == t.stimuli[0] for t in trials) == 18
    assert sum(t.stimuli[0] == t.pair[0] for t in trials) == 18  # type: ignore[index]
    assert all(set(t.stimuli[:2]) == set(t.pair or ()) for t in trials)


def test_no_listener_gets_thousands_of_trials() -> None:
    with pytest.raises(ValueError, match="2340 trials for every listener"):
        imagined("abx", clips=30, systems=13)


def test_orders_never_change() -> None:
    """A test that is under way goes on after an update: its listeners must meet the same order."""
    plans = [
        [(t.clip.name, t.stimuli) for t in plan(imagined(method, 4, 3, seed=7), listener)]
        for method in ("mushra", "mos", "abx")
        for listener in range(20)
    ]
    assert hashlib.sha256(repr(plans).encode()).hexdigest()[:16] == "1140673fb453640d"
