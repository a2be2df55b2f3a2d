"""recipes/data: training speech and validation clips from where they are published."""

from __future__ import annotations

import csv
import hashlib
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiodec.prepare.manifest import Recording, make_manifest, read_manifest
from audiodec.prepare.measure import bandwidth, snr
from audiodec.training.data import Crops
from audiodec.training.recipe import Data, Source
from audiodec.training.recipe_file import load_recipe

RECIPES = Path(__file__).parents[1] / "recipes"
VALIDATION = RECIPES / "data" / "validation.csv"


def noise(seconds: float, rate: int = 48000, top: float = 24000) -> np.ndarray:
    """White noise up to `top` Hz, with a pause in its middle fifth."""
    size = int(seconds * rate)
    spectrum = np.fft.rfft(np.random.default_rng(size).normal(0, 0.1, size))
    spectrum[int(top * seconds) :] = 0
    samples = np.fft.irfft(spectrum, size)
    middle, fade = np.full(size, 1.0), np.linspace(-6, 6, rate // 10)
    middle[2 * size // 5 : 3 * size // 5] = 1e-3
    soft = np.exp(-(fade**2)) / np.exp(-(fade**2)).sum()  # a hard edge would reach to the top
    return samples * np.convolve(middle, soft, "same")


def tone(path: Path, hertz: float, seconds: float, rate: int = 48000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)
    soundfile.write(path, wave, rate)
    return path


# Measures and drawing


@pytest.mark.parametrize("top", [3000, 7500, 11000, 16000])
def test_bandwidth_is_where_the_spectrum_ends(top: float) -> None:
    assert bandwidth(noise(2, top=top), 48000) == pytest.approx(top, abs=200)


def test_bandwidth_of_a_full_band_recording_is_half_its_rate() -> None:
    assert bandwidth(noise(2, 16000, 8000), 16000) == pytest.approx(8000, abs=100)


def test_snr_is_from_pauses_to_speech() -> None:
    assert snr(noise(2), 48000) == pytest.approx(60, abs=2)


@pytest.fixture
def two_speakers(tmp_path: Path) -> Path:
    """A manifest: ann says 2 s up to 24 kHz, ben ten times 6 s up to 8 kHz."""
    found = [Recording(tone(tmp_path / "a.wav", 300, 2), "ann", "train")] + [
        Recording(tone(tmp_path / f"b{i}.wav", 2000, 6), "ben", "train", bandwidth=8000)
        for i in range(10)
    ]
    make_manifest(found, tmp_path / "manifest.csv")
    return tmp_path / "manifest.csv"


def crops(manifest: Path, min_bandwidth: float = 0, **source: float) -> Crops:
    data = Data(
        sources=(Source(path=str(manifest), **source),),  # type: ignore[arg-type]
        batch=200, crop=0.05, speed_probability=0, lowpass_probability=0,
    )  # fmt: skip
    return Crops(data, 48000, 320, seed=0, min_bandwidth=min_bandwidth)


def test_speakers_are_drawn_equally_whatever_they_say(two_speakers: Path) -> None:
    batch = crops(two_speakers)[0]
    peak = np.abs(np.fft.rfft(batch.target[:, 0].numpy())).argmax(axis=1)
    ann = peak * 48000 / batch.target.shape[2] < 1000
    assert 0.4 < ann.mean() < 0.6
    assert set(batch.bandwidth[ann].tolist()) == {24000}
    assert np.allclose(batch.bandwidth[~ann], 0.93 * 8000)


def test_bandwidth_is_the_least_that_recipe_manifest_and_rate_say(two_speakers: Path) -> None:
    assert np.allclose(sorted({*crops(two_speakers, bandwidth=5000)[0].bandwidth.tolist()}), 4650)


def test_a_stage_draws_only_recordings_that_reach_its_bandwidth(two_speakers: Path) -> None:
    assert (crops(two_speakers, 11000)[0].bandwidth == 24000).all()


def test_an_older_manifest_without_bandwidths_is_believed_up_to_half_the_rate(
    two_speakers: Path,
) -> None:
    with two_speakers.open(newline="") as file:
        rows = [{k: v for k, v in r.items() if k != "bandwidth_hz"} for r in csv.DictReader(file)]
    with two_speakers.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert (crops(two_speakers)[0].bandwidth == 24000).all()


# Building


class Remote:
    """Public repositories, as git will find them; `add` returns the origin and the hash."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, files: dict[str, bytes]) -> tuple[str, str]:
        work = self.folder / f"{name}.git"
        for path, content in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_bytes(content)
        git = ["git", "-C", str(work), "-c", "user.name=x", "-c", "user.email=x"]
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
            subprocess.run([*git, *command], check=True)
        head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, stdout=subprocess.PIPE)
        digests = sorted(hashlib.sha256(content).hexdigest() for content in files.values())
        total = hashlib.sha256("\n".join(digests).encode()).hexdigest()
        return f"github:{name}@{head.stdout.decode().strip()}", total


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.file://{tmp_path}/remote/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/")
    return Remote(tmp_path / "remote")


Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a script of recipes/data with another table than its own, mirror and out in tmp_path."""
    monkeypatch.syspath_prepend(str(RECIPES / "data"))

    def call(script: str, table: str, *arguments: str) -> int:
        import build
        import fetch_validation
        import sources

        (tmp_path / "table").write_text(table)
        monkeypatch.setattr(sources, "TABLE", tmp_path / "table")
        monkeypatch.setattr(fetch_validation, "LIST", tmp_path / "table")
        places = ["--mirror", str(tmp_path / "mirror"), "--out", str(tmp_path / "out")]
        monkeypatch.setattr("sys.argv", [script, *arguments, *places])
        return {"build": build, "fetch_validation": fetch_validation}[script].main()  # type: ignore[no-any-return]

    return call


def entry(name: str, origin: str, sha256: str, count: int, **more: object) -> str:
    fields = {
        "origin": origin, "files": r"(?P<speaker>\w+)/.*\.wav", "licence": "CC0-1.0",
        "attribution": f"{name} and friends", "count": count, "sha256": sha256, **more,
    }  # fmt: skip
    lines = (f"{k} = '{v}'" if isinstance(v, str) else f"{k} = {v}" for k, v in fields.items())
    return "\n".join([f"[{name}]", *lines, ""])


def wav(folder: Path, samples: np.ndarray, rate: int = 48000) -> bytes:
    soundfile.write(folder / "x.wav", samples, rate)
    return (folder / "x.wav").read_bytes()


def test_sources_are_cloned_measured_and_written_with_their_speakers(
    tmp_path: Path, remote: Remote, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "ann/1.wav": wav(tmp_path, noise(1, top=15000)),
        "ann/2.wav": wav(tmp_path, noise(1.5, top=7000)),
        "ben/1.wav": wav(tmp_path, noise(2, top=9000)),
    }
    origin, total = remote.add("some/voices", files)
    words = {f"w{i}.wav": wav(tmp_path, noise(1 + i / 100, 50000), 50000) for i in range(30)}
    studio, studio_total = remote.add("a/studio", words)
    table = entry("pub", origin, total, 3) + entry(
        "studio", studio, studio_total, 30, files=r"w\d+\.wav", bandwidth=20000, gender="male"
    )
    assert run("build", table) == 0
    rows = {r.path: r for r in read_manifest(tmp_path / "out" / "pub" / "manifest.csv")}
    assert {r.speaker for r in rows.values()} == {"pub_ann", "pub_ben"}
    tops = [rows[f"pub_{n}.wav"].bandwidth_hz for n in ("ann_0000", "ann_0001", "ben_0000")]
    assert np.allclose(tops, [15000, 7000, 9000], atol=200)
    joined = read_manifest(tmp_path / "out" / "studio" / "manifest.csv")
    assert len(joined) == 2  # packs of 20 s
    assert {(r.rate, r.bandwidth_hz, r.speaker) for r in joined} == {(48000, 20000, "studio")}
    assert sum(r.seconds for r in joined) == pytest.approx(34.35, abs=0.1)
    text = (tmp_path / "out" / "attributions.md").read_text()
    assert "pub and friends" in text
    assert "| 0 / 1 |" in text
    # What is there is neither fetched nor made again.
    before = (tmp_path / "out" / "pub" / "manifest.csv").stat().st_mtime_ns
    (tmp_path / "remote").rename(tmp_path / "gone")
    assert run("build", table) == 0
    assert (tmp_path / "out" / "pub" / "manifest.csv").stat().st_mtime_ns == before


def test_what_is_missing_or_changed_is_named_and_the_rest_is_built(
    tmp_path: Path, remote: Remote, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    origin, total = remote.add("some/voices", {"ann/1.wav": wav(tmp_path, noise(1))})
    table = (
        entry("changed", origin, "0" * 64, 1)
        + entry("fewer", origin, total, 2)
        + entry("nowhere", f"github:no/where@{'0' * 40}", total, 1)
        + entry("good", origin, total, 1)
    )
    assert run("build", table) == 1
    said = capsys.readouterr().err
    assert "changed: the files of github:some/voices" in said
    assert "fewer: github:some/voices" in said
    assert "gave 1 of 2 files" in said
    assert "missing: nowhere:" in said
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"good", "attributions.md"}


def test_a_mirror_is_enough(tmp_path: Path, remote: Remote, run: Run) -> None:
    origin, total = remote.add("some/voices", {"ann/1.wav": wav(tmp_path, noise(1))})
    (tmp_path / "mirror" / "some+voices").mkdir(parents=True)
    stored = tmp_path / "mirror" / "some+voices" / "repo"
    subprocess.run(
        ["git", "clone", "-q", "--bare", tmp_path / "remote" / "some" / "voices.git", stored],
        check=True,
    )
    (tmp_path / "remote").rename(tmp_path / "gone")
    assert run("build", entry("pub", origin, total, 1)) == 0


def test_only_the_named_sources_are_built(tmp_path: Path, remote: Remote, run: Run) -> None:
    origin, total = remote.add("some/voices", {"ann/1.wav": wav(tmp_path, noise(1))})
    table = entry("one", origin, total, 1) + entry("two", origin, total, 1)
    assert run("build", table, "two") == 0
    assert not (tmp_path / "out" / "one").exists()
    with pytest.raises(SystemExit):
        run("build", table, "three")


def test_nobody_trains_who_validates_or_sounds_too_much_like_it(
    tmp_path: Path, remote: Remote, run: Run
) -> None:
    files = {f"{s}/1.wav": wav(tmp_path, noise(1 + s / 1e4)) for s in (19, 20, 1183)}
    origin, total = remote.add("some/voices", files)
    assert run("build", entry("librispeech", origin, total, 3)) == 0
    rows = read_manifest(tmp_path / "out" / "librispeech" / "manifest.csv")
    assert {r.speaker for r in rows} == {"librispeech_20"}


def test_common_voice_keeps_languages_and_their_speakers_apart(
    tmp_path: Path, remote: Remote, run: Run
) -> None:
    head = "client_id\tpath\tgender\tlocale\n"
    files = {
        "el/validated.tsv": f"{head}{'a' * 32}\t1.wav\tfemale\tel\n{'b' * 32}\t2.wav\t\tel\n",
        "sv-SE/validated.tsv": f"{head}{'b' * 32}\t3.wav\tmale\tsv-SE\n",
    }
    clips = {f"el/clips/{i}.wav": wav(tmp_path, noise(i, top=15000)) for i in (1, 2)}
    contents = {k: v.encode() for k, v in files.items()} | clips
    origin, total = remote.add("some/voices", contents | {"sv-SE/clips/3.wav": b"not taken"})
    taken = sorted(hashlib.sha256(v).hexdigest() for v in contents.values())
    total = hashlib.sha256("\n".join(taken).encode()).hexdigest()
    pattern = r"(?!sv-SE)[^/]+/clips/.*\.wav|[^/]+/validated\.tsv"
    table = entry("cv", origin, total, 4, files=pattern, layout="commonvoice")
    assert run("build", table) == 0
    rows = read_manifest(tmp_path / "out" / "cv" / "manifest.csv")
    assert [r.speaker for r in rows] == ["commonvoice_" + "a" * 16]
    with (tmp_path / "out" / "cv" / "speakers.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["gender"] == "female"


def test_the_recipe_draws_from_every_source_of_the_table() -> None:
    table = (RECIPES / "data" / "sources.toml").read_text()
    names = [line[1:-1] for line in table.splitlines() if line.startswith("[")]
    recipe = load_recipe(RECIPES / "voices.yaml")
    assert sorted(Path(s.path).parent.name for s in recipe.data.sources) == sorted(names)


# Validation


def test_training_voices_too_much_like_a_validation_voice_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An embedding that is the pitch: 300 and 330 Hz are alike, 2000 Hz is not."""
    monkeypatch.syspath_prepend(str(RECIPES / "data"))
    import check_speakers

    def embedding(samples: np.ndarray, rate: int) -> np.ndarray:
        angle = np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples) / 1000
        return np.array([np.cos(angle), np.sin(angle)])

    train, validation = tmp_path / "train" / "source", tmp_path / "validation"
    found = [
        Recording(tone(train / f"{who}{i}.wav", hertz, 1), who, "train")
        for who, hertz in (("ann", 300), ("ben", 2000))
        for i in range(2)
    ]
    make_manifest(found, train / "manifest.csv")
    (train / "speakers.csv").write_text("speaker,gender,language\nann,,en\nben,,en\n")
    (tmp_path / "list.csv").write_text("speaker,language\ncleo,cy\n")
    tone(validation / "cleo" / "c.flac", 330, 1)
    monkeypatch.setattr(check_speakers, "embedding", embedding)
    monkeypatch.setattr(check_speakers, "LIST", tmp_path / "list.csv")
    places = {"train": train.parent, "validation": validation, "keep": tmp_path / "voices.npz"}
    monkeypatch.setattr("sys.argv", ["", *(f"--{k}={v}" for k, v in places.items())])
    for _ in range(2):  # computed, then from what is kept
        assert check_speakers.main() == 1
        said = capsys.readouterr().out
        assert "ann,cleo,1.000" in said
        assert "ben,cleo" not in said


def test_validation_list_is_large_and_mixed() -> None:
    with VALIDATION.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 150
    assert len({row["speaker"] for row in rows}) >= 60
    assert len({row["language"] for row in rows}) >= 15
    assert len({row["clip"] for row in rows}) == len(rows)
    sexes = Counter({row["speaker"]: row["gender"] for row in rows}.values())
    assert min(sexes["female"], sexes["male"]) >= 20
    old = [row for row in rows if row["group"] in ("tuxpaint", "ktuberling", "studio")]
    assert len(old) == 71


def test_validation_clips_are_cut_joined_and_named(
    tmp_path: Path, remote: Remote, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {f"{i}.wav": wav(tmp_path, noise(i, 16000, 8000), 16000) for i in (1, 2, 9)}
    origin, _ = remote.add("some/voices", files)
    table = "clip,group,source,language,speaker,gender,files\n" + "".join(
        f"{clip},g,{origin},en,ann,female,{names}\n"
        for clip, names in (("long", "9.wav"), ("both", "1.wav|2.wav"), ("lost", "3.wav"))
    )
    assert run("fetch_validation", table) == 1
    said = capsys.readouterr()
    assert "2 of 3 clips" in said.out
    assert "missing: lost" in said.err
    lengths = {p.stem: soundfile.info(p) for p in (tmp_path / "out" / "ann").iterdir()}
    assert {name: (i.duration, i.samplerate) for name, i in lengths.items()} == {
        "long": (8, 48000), "both": (3, 48000)
    }  # fmt: skip
