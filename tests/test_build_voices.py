"""The training data is built from pinned sources; what is missing or changed is named."""

from __future__ import annotations

import csv
import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiodec.prepare.manifest import read_manifest
from audiodec.training.recipe_file import load_recipe
from tests.test_voices import RECIPES, noise


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
