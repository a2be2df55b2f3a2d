"""Where the corpora of the paper keep their recordings, and which speakers are held out.

VCTK: Yamagishi et al., 2019. LibriTTS: Zen et al., 2019. VoiceBank-DEMAND: Valentini-Botinhao,
"Noisy speech database", 2017, whose test speakers p232 and p257 the paper's evaluation uses; p226
and p287 validate, as is usual with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from audiodec.audio_files.folder import list_folder
from audiodec.errors import ConfigError
from audiodec.prepare.manifest import Recording

TEST, VALID = {"p232", "p257"}, {"p226", "p287"}
LIBRITTS = (
    "train-clean-100", "train-clean-360", "train-other-500", "dev-clean", "dev-other",
    "test-clean", "test-other",
)  # fmt: skip
VOICEBANK = {"trainset_28spk": 11_572, "trainset_56spk": 23_075, "testset": 824}  # pairs
VCTK_SPEAKERS = 110  # in version 0.92


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
        missing: parts of the corpus that are not there, for a person.
        left_out: files that were passed over, and why.
    """

    recordings: list[Recording]
    missing: list[str]
    left_out: list[str] = field(default_factory=list)


def vctk(folder: Path) -> Found:
    """List VCTK 0.92 (`wav48_silence_trimmed`, first microphone) or 0.80 (`wav48`)."""
    for name, pattern in (("wav48_silence_trimmed", "*/*_mic1.flac"), ("wav48", "*/*.wav")):
        paths = sorted((folder / name).glob(pattern))
        if paths:
            break
    else:
        raise ConfigError(f"{folder} is no VCTK: it has neither wav48_silence_trimmed nor wav48")
    recordings = [Recording(p, p.parent.name, _voice_split(p.parent.name)) for p in paths]
    speakers = {r.speaker for r in recordings}
    missing = [f"test speaker {s}" for s in sorted(TEST - speakers)]
    if len(speakers) < VCTK_SPEAKERS:
        missing.append(f"{VCTK_SPEAKERS - len(speakers)} of {VCTK_SPEAKERS} speakers")
    return Found(recordings, missing)


def libritts(folder: Path) -> Found:
    """List LibriTTS: subset/speaker/chapter/*.wav; the subsets are the splits."""
    splits = {"train": "train", "dev": "valid", "test": "test"}
    recordings = [
        Recording(p, p.parts[-3], splits[subset.split("-")[0]])
        for subset in LIBRITTS
        for p in sorted((folder / subset).glob("*/*/*.wav"))
    ]
    if not recordings:
        raise ConfigError(f"{folder} is no LibriTTS: it has none of {', '.join(LIBRITTS)}")
    return Found(recordings, [f"subset {s}" for s in LIBRITTS if not (folder / s).is_dir()])


def voicebank_demand(folder: Path) -> Found:
    """List VoiceBank-DEMAND: clean_SET_wav and noisy_SET_wav with the same file names."""
    recordings, missing = [], []
    for name, count in VOICEBANK.items():
        clean, noisy = (folder / f"{kind}_{name}_wav" for kind in ("clean", "noisy"))
        paths = sorted(clean.glob("*.wav"))
        pairs = [(p, noisy / p.name) for p in paths if (noisy / p.name).is_file()]
        for path, other in pairs:
            speaker = path.name.split("_")[0]
            split = "test" if name == "testset" else _voice_split(speaker)
            recordings.append(Recording(path, speaker, split, other))
        if len(pairs) < count:
            missing.append(f"{count - len(pairs)} of {count} pairs of {name}")
    if not recordings:
        raise ConfigError(f"{folder} is no VoiceBank-DEMAND: no clean_*_wav with noisy_*_wav")
    return Found(recordings, missing)


def folder(path: Path) -> Found:
    """List any folder: its first level of folders are speakers, of whom 1 in 20 each validate and
    test.

    Files without a speaker's folder train.
    """
    recordings = []
    listing = list_folder(path)
    for p in listing.files:
        parts = p.relative_to(path).parts
        speaker = parts[0] if len(parts) > 1 else ""
        recordings.append(Recording(p, speaker or path.name, _hashed_split(speaker)))
    if not recordings:
        raise ConfigError(f"{path} holds no audio files")
    return Found(recordings, [], listing.left_out)


CORPORA: dict[str, Callable[[Path], Found]] = {
    "vctk": vctk,
    "libritts": libritts,
    "voicebank-demand": voicebank_demand,
    "folder": folder,
}


def _voice_split(speaker: str) -> str:
    return "test" if speaker in TEST else "valid" if speaker in VALID else "train"


def _hashed_split(speaker: str) -> str:
    """Choose a speaker's split by the hash of the name: it stays when others come or go."""
    if not speaker:
        return "train"
    share = hashlib.sha256(speaker.encode()).digest()[0] / 256
    return "valid" if share < 0.05 else "test" if share < 0.1 else "train"
