"""What simulated listeners prove: order found, chance not taken for a difference, screening."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="the extra `bench` is not installed")
pytest.importorskip("pyloudnorm", reason="the extra `bench` is not installed")

from audiodec.errors import AudioDecError
from audiodec.evaluation.listening.analysis import analyse, to_csv
from audiodec.evaluation.listening.answers import Answers, Rating, answer_slots
from audiodec.evaluation.listening.definition import (
    LOW_ANCHOR,
    MID_ANCHOR,
    REFERENCE,
    Clip,
    Test,
    load_test,
)
from audiodec.evaluation.listening.plot import plot
from audiodec.evaluation.listening.screening import screen
from audiodec.evaluation.listening.statistics import compare, discriminate, holm, mean
from tests.test_cli import run
from tests.test_listening import RATE, imagined, make_test


def answer_all(answers: Answers, name: str, score: Mapping[str, int], clips: int = 10**6) -> None:
    """A listener who gives each system its score."""
    token = answers.register(name)
    progress = answers.progress(token)
    while progress is not None and progress.number is not None and clips:
        trial = progress.trials[progress.number]
        given = {n: score[trial.stimuli[n]] for n in answer_slots(answers.test, trial)}
        progress = answers.store(token, progress.number, given, done=True)
        clips -= 1


def test_known_answers() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    values = np.array([4.0, 5, 6, 7, 8])
    found = mean(values)  # t(4) = 2.776445, sd = 1.581139
    assert found.t == pytest.approx((6 - 1.963243, 6 + 1.963243), abs=1e-5)
    assert found.bootstrap is not None
    assert 4 < found.bootstrap[0] < 5.2 < 6.8 < found.bootstrap[1] < 8
    assert mean(values[:1]).t is None
    # Depression scores before and after (Hollander and Wolfe 1973): V = 40, exact p = 0.0390625.
    before = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
    after = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
    (result,) = compare({"before": before, "after": after}, [("before", "after")])
    assert result.p == pytest.approx(0.0390625)
    # 12 of 16 by guessing: 2517 / 65536.
    (told,) = discriminate({("a", "b"): [1.0] * 12 + [0.0] * 4})
    assert told.p == pytest.approx(2517 / 65536)
    assert told.exact == pytest.approx((0.4762, 0.9273), abs=1e-4)


QUALITY = {REFERENCE: 98.0, "system 0": 80, "system 1": 68, "system 2": 55, MID_ANCHOR: 45}
QUALITY[LOW_ANCHOR] = 22


def listeners(test: Test, quality: Mapping[str, float], count: int, seed: int) -> list[Rating]:
    """Listeners with a bias of their own (sd 6), a taste in systems (4), a spread (8)."""
    random = np.random.default_rng(seed)
    ratings = []
    for number in range(count):
        bias = random.normal(0, 6)
        for system in test.systems:
            taste = 0 if system == REFERENCE else bias + random.normal(0, 4)
            spread = 2 if system == REFERENCE else 8
            for clip in test.clips:
                score = np.clip(quality[system] + taste + random.normal(0, spread), 0, 100)
                ratings.append(Rating(f"ear {number}", clip.name, system, float(round(score))))
    return ratings


def test_simulated_listeners_recover_the_order() -> None:
    test = imagined("mushra", clips=8, systems=3)
    analysis = analyse(test, listeners(test, QUALITY, 16, seed=1))
    assert [s.name for s in analysis.systems] == list(QUALITY)
    assert analysis.excluded == {}
    for system in analysis.systems[1:]:
        for interval in (system.mean.t, system.mean.bootstrap):
            assert interval is not None
            assert interval[0] < QUALITY[system.name] < interval[1]
        assert system.quartiles[0] < system.mean.value < system.quartiles[2]
    assert len(analysis.comparisons) == 6  # three systems and the reference, no anchors
    assert all(c.p_holm < 0.01 for c in analysis.comparisons)
    for c in analysis.comparisons:
        assert math.copysign(1, c.difference.value) == (1 if QUALITY[c.a] > QUALITY[c.b] else -1)


def test_equal_systems_are_declared_different_at_the_nominal_rate() -> None:
    test = imagined("mos", clips=4, systems=3)
    quality = dict.fromkeys(test.systems, 50.0)
    runs, uncorrected, corrected, covered = 200, 0, 0, 0
    for seed in range(runs):
        ratings = listeners(test, quality, 20, seed)
        values = {
            name: np.array(
                [
                    np.mean([r.score for r in ratings if (r.system, r.listener) == (name, ear)])
                    for ear in dict.fromkeys(r.listener for r in ratings)
                ]
            )
            for name in test.systems
        }
        found = compare(values, test.pairs)
        uncorrected += found[0].p < 0.05
        corrected += any(c.p_holm < 0.05 for c in found)
        interval = found[0].difference.t
        assert interval is not None
        covered += interval[0] <= 0 <= interval[1]
    # Binomial, 200 runs at 0.05: 10 expected, standard deviation 3.1.
    assert 2 <= uncorrected <= 20
    assert 1 <= corrected <= 20
    assert 180 <= covered <= 198


def test_screening_removes_the_careless_and_nobody_else() -> None:
    test = imagined("mushra", clips=8, systems=3)
    ratings = listeners(test, QUALITY, 15, seed=2)
    random = np.random.default_rng(3)
    careless = [
        Rating("careless", clip.name, system, float(random.integers(0, 101)))
        for clip in test.clips
        for system in test.systems
    ]
    deaf = [
        Rating("deaf", clip.name, system, 100.0) for clip in test.clips for system in test.systems
    ]
    analysis = analyse(test, ratings + careless + deaf)
    assert set(analysis.excluded) == {"careless", "deaf"}
    assert "hidden reference below 90" in analysis.excluded["careless"]
    assert "7 kHz anchor above 90 in 8 of 8" in analysis.excluded["deaf"]
    alone = analyse(test, ratings)
    assert analysis.systems == alone.systems
    with pytest.raises(AudioDecError, match="excludes every listener"):
        analyse(test, careless)


def test_screening_follows_the_rules_to_the_trial() -> None:
    test = imagined("mushra", clips=20, systems=1)

    def ratings(name: str, low: int, high: int) -> list[Rating]:
        return [
            r
            for n, clip in enumerate(test.clips)
            for r in (
                Rating(name, clip.name, REFERENCE, 89.0 if n < low else 90.0),
                Rating(name, clip.name, MID_ANCHOR, 91.0 if n < high else 90.0),
            )
        ]

    good = [r for n in range(7) for r in ratings(f"good {n}", 0, 0)]
    assert screen(good + ratings("x", 3, 3)) == {}  # 15 % is not more than 15 %
    assert screen(good + ratings("x", 4, 0)) == {"x": "hidden reference below 90 in 4 of 20 trials"}
    assert screen(good + ratings("x", 0, 4)) == {"x": "7 kHz anchor above 90 in 4 of 20 trials"}
    # When more than a quarter of the listeners find the anchor fine, these trials tell nothing.
    assert screen(good + [r for n in range(3) for r in ratings(f"x{n}", 0, 4)]) == {}


def test_from_answers_to_report(tmp_path: Path) -> None:
    folder = make_test(tmp_path, "mushra", clips=2)
    answers = Answers(load_test(folder), folder)
    for n in range(6):
        fine = {REFERENCE: 100, "fine": 80 + n, "noisy": 50 - n, MID_ANCHOR: 40, LOW_ANCHOR: 15}
        answer_all(answers, f"=ear {n}", fine)
    answer_all(answers, "careless", dict.fromkeys(fine, 60))
    answer_all(answers, "half", fine, clips=2)
    csv, svg = tmp_path / "out.csv", tmp_path / "out.svg"
    result = run("listen", "analyse", folder, "--csv", csv, "--plot", svg, "--json")
    assert result.returncode == 0, result.stderr
    data = json.loads(result.stdout)
    assert data["unfinished"] == ["half"]
    assert list(data["excluded"]) == ["careless"]
    order = [s["name"] for s in data["systems"]]
    assert order == [REFERENCE, "fine", "noisy", MID_ANCHOR, LOW_ANCHOR]
    assert data["systems"][1]["mean"]["value"] == pytest.approx(82.5)
    assert data["comparisons"][0]["p"] == pytest.approx(2 / 2**6)
    lines = csv.read_text().splitlines()
    assert lines[0] == "listener,clip,system,score,counts"
    assert len(lines) == 1 + 7 * 2 * 5 + 5
    assert lines[1].startswith("'=ear 0,")  # a spreadsheet does not run it
    assert sum(line.endswith(",1") for line in lines) == 6 * 2 * 5
    ElementTree.fromstring(svg.read_text())
    shown = run("listen", "analyse", folder)
    assert shown.returncode == 0
    assert "left out: careless: hidden reference below 90 in 2 of 2 trials" in shown.stderr
    assert "82.5 " in shown.stdout


def test_every_rating_is_written_though_nobody_counts(tmp_path: Path) -> None:
    folder = make_test(tmp_path, "mushra", clips=2)
    answers = Answers(load_test(folder), folder)
    same = dict.fromkeys((REFERENCE, "fine", "noisy", MID_ANCHOR, LOW_ANCHOR), 60)
    for n in range(3):
        answer_all(answers, f"careless {n}", same)
    csv = tmp_path / "out.csv"
    result = run("listen", "analyse", folder, "--csv", csv)
    assert result.returncode == 1
    assert "excludes every listener" in result.stderr
    lines = csv.read_text().splitlines()
    assert len(lines) == 1 + 3 * 2 * 5
    assert all(line.endswith(",0") for line in lines[1:])


def test_abx_report_tells_hearing_from_guessing() -> None:
    test = imagined("abx", clips=8, systems=3)
    random = np.random.default_rng(0)
    chance = dict(zip(test.pairs, (0.9, 0.5, 0.5), strict=True))
    ratings = [
        Rating(f"ear {n}", clip.name, pair[0], float(random.random() < chance[pair]), pair[1])
        for n in range(10)
        for clip in test.clips
        for pair in test.pairs
    ]
    analysis = analyse(test, ratings)
    heard, *guessed = analysis.discriminations
    assert heard.p_holm < 1e-6
    assert heard.exact[0] < 0.9 < heard.exact[1]
    for pair in guessed:
        assert pair.p_holm > 0.05
        assert pair.answers == 80
    assert "listener,clip,a,b,right,counts" in to_csv(test, ratings)
    labels = "".join(ElementTree.fromstring(plot(analysis)).itertext())
    assert "system 0 / system 1" in labels


def test_plot_shows_names_as_text(tmp_path: Path) -> None:
    test = imagined("mos", clips=2, systems=2)
    names = ("<script>", "b & c")
    renamed = [
        Rating(f"ear {n}", clip.name, name, 3.0 + k)
        for n in range(3)
        for clip in test.clips
        for k, name in enumerate(names)
    ]
    files = dict(zip(names, test.clips[0].files.values(), strict=True))
    clips = tuple(Clip(name=clip.name, files=files) for clip in test.clips)
    other = Test(method="mos", title="x", seed=0, rate=RATE, systems=names, clips=clips)
    picture = ElementTree.fromstring(plot(analyse(other, renamed)))
    texts = [t.text for t in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"<script>", "b & c", "4.00", "3.00"} <= set(texts)
    assert not list(picture.iter("{http://www.w3.org/2000/svg}script"))
