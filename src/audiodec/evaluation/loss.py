"""Codecs over a lossy network: the same packets lost for each, with and without redundancy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from audiodec.errors import ConfigError
from audiodec.evaluation.codecs import RATE, Opus
from audiodec.evaluation.metrics import align, score
from audiodec.evaluation.quality import Score, read_clip
from audiodec.realtime.network import gilbert_losses
from audiodec.realtime.payload import Redundancy, from_bytes
from audiodec.runtime.base import Samples
from audiodec.session import Codec

PERIOD = 0.02  # seconds a packet, for every codec: so the same losses fall on the same speech
METRICS = ("PESQ-WB", "ESTOI")


def over_losses(
    codec: Codec, samples: Samples, bitrate: float, lost: Sequence[bool], copied_stages: int
) -> tuple[Samples, int]:
    """Code, send, lose, recover or conceal, decode.

    Args:
        lost: of each packet; those beyond its end arrive.
        copied_stages: leading stages whose copies ride three packets later; 0: no redundancy.

    Returns:
        audio as long as the input, and the bytes sent.
    """
    frames, q = round(PERIOD * codec.config.frame_rate), codec.config.quantizer
    encoder, decoder = codec.encoder(bitrate, frames_per_packet=frames), codec.decoder(frames)
    redundancy = Redundancy(frames, q.code_bits, stages=copied_stages)
    sent = [redundancy(packet) for packet in encoder.write(samples) + encoder.drain()]
    arrived: dict[int, bytes] = {}
    copies: dict[int, bytes] = {}
    for number, payload in enumerate(sent):
        if number >= len(lost) or not lost[number]:
            parsed = from_bytes(payload, frames, q.code_bits, q.stages)
            arrived[number] = parsed.packet
            copies |= {number - d: copy for d, copy in parsed.copies.items()}
    played = [decoder.decode(arrived.get(n, copies.get(n))) for n in range(len(sent))]
    return np.concatenate(played)[: len(samples)], sum(map(len, sent))


def measure(
    codec: Codec, bitrate: float, copied_stages: int, clips: Sequence[Path],
    losses: Sequence[float], burst: float,
) -> Iterator[Score]:  # fmt: skip
    """Ours without and with redundancy, and Opus with its in-band FEC at the same nominal rate.

    Yields:
        a score per clip, loss rate and codec, named e.g. "10 % AudioDec 12 + copies of 3 stages".

    Raises:
        ConfigError: the model has another rate, several channels, or no whole number of frames
            in 20 ms.
    """
    frames = PERIOD * codec.config.frame_rate
    if (codec.sample_rate, codec.channels) != (RATE, 1) or not np.isclose(frames, round(frames)):
        raise ConfigError(
            f"model {codec.info.id} is not for one channel of 48 kHz in whole frames of 20 ms"
        )
    for seed, path in enumerate(clips):
        samples = read_clip(path)
        for loss in losses:
            lost = gilbert_losses(len(samples) // 960 + 2, loss, burst, seed)
            ours, copied = f"AudioDec {bitrate:g}", f" + copies of {copied_stages} stages"
            results = {
                ours: over_losses(codec, samples, bitrate, lost, 0),
                ours + copied: over_losses(codec, samples, bitrate, lost, copied_stages),
                f"Opus auto {bitrate:g} + FEC": Opus(bitrate, False).over_losses(
                    samples, lost, loss
                ),
            }
            for name, (audio, sent) in results.items():
                original, decoded, lag = align(samples, audio, RATE)
                values = score(original, decoded, RATE, METRICS)
                kbps = sent * 8 * RATE / len(samples) / 1000
                yield Score(f"{loss:.0%} {name}", path.stem, kbps, lag, values)
