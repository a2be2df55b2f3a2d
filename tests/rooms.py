"""The rooms of the house: what each is for, and which others it may import.

python -m tests.rooms    # what CONTRIBUTING.md shows of it
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

OPEN = {"arrays", "ending", "errors"}  # to every room
ANY = {"*"}


@dataclass(frozen=True)
class Room:
    """A module or folder below `src/audiodec`; a name with a dot is a part with rules of its own.

    Attributes:
        what: for a newcomer; rooms without are shown with the one they lie in.
        imports: the rooms it may import, besides itself and `OPEN`.
        torch: whether it may import torch.
    """

    what: str
    imports: frozenset[str]
    torch: bool = False


def room(what: str, *imports: str, torch: bool = False) -> Room:
    return Room(what, frozenset(imports), torch)


ROOMS = {
    "errors": room("what can go wrong, a line each"),
    "arrays": room("types of arrays"),
    "ending": room("signals that end a program"),
    "dsp": room("frames, overlap-add, envelopes, mel filters"),
    "bitstream": room("codes to packets (`PacketFormat`), the `.adc` file; numpy alone"),
    "config": room("settings of a model, from and to JSON", "bitstream"),
    "pretrained": room("a name or folder to checked files", "config"),
    "nn": room(
        "the networks in torch: state in, state out (`streaming.py`); `network.py` composes them",
        "config", torch=True,
    ),
    "nn.macs": room("", torch=True),
    "runtime": room("runs a model, numpy in and out: onnxruntime", "config", "pretrained"),
    "runtime.torch": room(
        "the same in torch", "nn", "pretrained", "runtime", torch=True
    ),
    "resampling": room("other sample rates"),
    "checks": room("what a user hands over", "config", "resampling"),
    "playback": room("decoding of parallel streams, concealment", "runtime"),
    "session": room(
        "`Encoder`, `Decoder`: one stream",
        "bitstream", "checks", "playback", "resampling", "runtime",
    ),
    "latents": room(
        "a loaded model between sound and codes", "checks", "resampling", "runtime", "session",
    ),
    "codec": room("`Codec`: a loaded model", "checks", "latents", "runtime", "session"),
    "loading": room(
        "`load`", "checks", "codec", "pretrained", "runtime", "runtime.torch"
    ),
    "audio_files": room("opening, reading and writing audio files", "resampling"),
    "adc": room(
        "audio files to `.adc` files and back",
        "audio_files", "bitstream", "checks", "codec", "loading", "playback", "runtime",
    ),
    "sound": room("sound devices, rings, drift, the live loop", "audio_files", "codec"),
    "rtp": room(
        "packets on a network: payload, jitter buffer, sender, receiver", "bitstream"
    ),
    "call": room(
        "one end of a call: keys, handshake, UDP and WebRTC", "rtp", "sound",
    ),
    "serve": room(
        "many streams batched through one model; WebSocket and RTP",
        "bitstream", "call", "config", "playback", "pretrained", "rtp", "runtime",
    ),
    "prepare": room("corpora as manifests, rooms, noisy pairs", "audio_files"),
    "evaluation": room(
        "metrics, codecs (one file each), reports, listening tests, latency, speed",
        "", "audio_files", "bitstream", "call", "checks", "codec", "config", "dsp",
        "prepare", "pretrained", "rtp", "runtime", "serve", "sound",
    ),
    "evaluation.codecs.neural": room("", "bitstream", "nn.macs", torch=True),
    "tokenization": room(
        "a corpus to shards of codes",
        "", "audio_files", "bitstream", "checks", "config", "prepare", "pretrained", "runtime",
    ),
    "published": room("checkpoints of the published systems", "config", "nn", torch=True),
    "export": room(
        "torch to ONNX, compared",
        "config", "nn", "nn.macs", "pretrained", "runtime", "runtime.torch", torch=True,
    ),
    "training": room(
        "recipes, data, losses, adversaries, codebooks, the loop",
        "audio_files", "config", "dsp", "evaluation", "nn", "prepare", "pretrained", "published",
        "runtime.torch", torch=True,
    ),
    "": room("what a user imports: `import audiodec`", "adc", "codec", "loading", "session"),
    "cli": room("one small file per command", "*", torch=True),
    "__main__": room("", "cli", torch=True),
}  # fmt: skip


def imports_of(name: str) -> set[str]:
    """The rooms that a room may import by its rule."""
    own = ROOMS[name].imports
    return set(ROOMS) - OPEN - {name, "__main__"} if own == ANY else set(own)


def reachable(name: str) -> set[str]:
    """All rooms that a room may import, directly or through others."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = imports_of(waiting.pop()) - found
        found |= new
        waiting += new
    return found


def arrows() -> Iterator[tuple[str, str]]:
    """The fewest imports from which the others follow."""
    for name in ROOMS:
        own = imports_of(name)
        implied = set().union(*map(reachable, own)) if own else set()
        yield from ((name, other) for other in sorted(own - implied))


def picture() -> str:
    """The rooms as a table and as a mermaid diagram."""
    lines = ["| room | what |", "|---|---|"]
    lines += [f"| {label(name)} | {own.what} |" for name, own in ROOMS.items() if own.what]
    lines += ["", "```mermaid", "flowchart BT"]
    shown = [name for name, own in ROOMS.items() if own.what and name not in OPEN]
    for name in shown:
        shape = f"{identity(name)}[{name or 'audiodec'}]"
        lines.append(f"  {shape}{':::torch' if ROOMS[name].torch else ''}")
    for name, other in arrows():
        if name in shown and other in shown:
            lines.append(f"  {identity(name)} --> {identity(other)}")
    lines += ["  classDef torch stroke-dasharray: 4 3", "```"]
    return "\n".join(lines) + "\n"


def label(name: str) -> str:
    return f"`{name or '__init__'}`"


def identity(name: str) -> str:
    """A word that mermaid takes for a node: `call`, for one, is a word of its own."""
    return f"room_{name or 'audiodec'}".replace(".", "_")


if __name__ == "__main__":
    print(picture(), end="")
