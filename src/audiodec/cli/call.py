"""`audiodec call`: two parties over UDP, or in a room."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiodec.cli.common import Bitrate, Json, Model, console, warn
from audiodec.cli.tables import print_table
from audiodec.ending import OrderlyEnd
from audiodec.errors import ConfigError

if TYPE_CHECKING:
    from audiodec.call.endpoint import Endpoint
    from audiodec.call.transport import Address, Sink, Source

call = typer.Typer(invoke_without_command=True)
Tell = Callable[[dict[str, Any]], None]  # takes an endpoint's summary
Say = Callable[[str], None]  # takes words for people
BLOCK_S = 0.01  # seconds per block of a sound device
NOTHING = "none"


@call.callback()
def start(
    context: typer.Context,
    bind: Annotated[str, typer.Option(metavar="HOST:PORT", help="Own address.")] = "",
    to: Annotated[str, typer.Option(metavar="HOST:PORT", help="Address of the other end.")] = "",
    room: Annotated[
        str | None,
        typer.Option(
            metavar="LINK",
            envvar="AUDIODEC_ROOM",
            help="Instead of addresses: the link that a call's page shows.",
        ),
    ] = None,
    speak: Annotated[
        str | None,
        typer.Option("--input", help="Audio file to speak, or `none`; the microphone if missing."),
    ] = None,
    hear: Annotated[
        str | None,
        typer.Option("--output", help="Audio file to hear into, or `none`; else the loudspeaker."),
    ] = None,
    input_device: Annotated[str | None, typer.Option(help="See `audiodec devices`.")] = None,
    output_device: Annotated[str | None, typer.Option(help="See `audiodec devices`.")] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(help="Key that both ends hold; else the variable AUDIODEC_CALL_KEY."),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Without a key: everybody on the way can listen.")
    ] = False,
    bitrate: Bitrate = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames per packet.")] = 3,
    dtx: Annotated[
        bool, typer.Option("--dtx", help="In silence send next to nothing: comfort noise.")
    ] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds for the other end to answer.")] = 30,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Talk to one other over the network: each end names the other's address, or a room.

    Ctrl-C hangs up.
    """
    if context.invoked_subcommand is not None:
        return
    import audiodec
    from audiodec.call.endpoint import Endpoint
    from audiodec.sound.voices import FileSource

    if room is None:
        way = _by_address(bind, to, key_file, insecure)
    elif bind or to or key_file or insecure:
        raise ConfigError("--room needs no addresses and no key: its connection is encrypted")
    else:
        way = _in_room(room)
    codec = audiodec.load(model)
    ends: list[Endpoint] = []  # one for each connection

    def end() -> Endpoint:
        ends.append(Endpoint(codec, way.secret, bitrate, frames, dtx))
        return ends[-1]

    period = end().period
    with ExitStack() as stack:
        source = _source(stack, speak, input_device, codec.sample_rate, period)
        sink = _sink(stack, hear, output_device, codec.sample_rate, period)
        try:
            asyncio.run(_talk(way, end, source, sink, wait))
        except asyncio.CancelledError:
            console.print("hung up")
    if ends[-1].gone:
        console.print("the other end is gone")
    now = time.monotonic()
    connected = [each.summary(now) for each in ends if each.connected]
    summary = _sum(connected or [ends[-1].summary(now)])
    summary["encrypted"] = way.encrypted and bool(connected)
    warnings = source.warnings if isinstance(source, FileSource) else ()
    missing = source.missing_seconds if isinstance(source, FileSource) else 0.0
    summary |= {"missing_seconds": missing, "warnings": warnings}
    warn(warnings)
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        _print(summary)


@call.command()
def keygen(
    file: Annotated[Path, typer.Argument(help="New file; copy it to the other end safely.")],
) -> None:
    """Make a key that both ends of a call need."""
    from audiodec.call.keys import make_key

    make_key(file)
    console.print(f"{file}: who has it can join and hear calls made with it")


@dataclass(frozen=True)
class _Way:
    """How the other end is reached.

    Attributes:
        name: of it, for people.
        secret: as `Endpoint` takes it.
        encrypted: whether it is, by the secret or without.
        talk: holds a call that way.
    """

    name: str
    secret: bytes | None
    encrypted: bool
    talk: Callable[..., Awaitable[None]]


def _by_address(bind: str, to: str, key_file: Path | None, insecure: bool) -> _Way:
    from audiodec.call.keys import read_key
    from audiodec.call.transport import open_udp, talk

    own, other = _address(bind, "--bind"), _address(to, "--to")
    secret = read_key(key_file)
    if secret is None and not insecure and not (_loopback(own) and _loopback(other)):
        raise ConfigError(
            "a call needs a key: make one with `audiodec call keygen FILE`, give it to both ends "
            "and name it with --key-file; or ask for --insecure"
        )

    async def over_udp(
        end: Callable[[], Endpoint], source: Source, sink: Sink, wait: float, tell: Tell, say: Say
    ) -> None:
        async with open_udp(own, other) as channel:
            await talk(end(), channel, source, sink, wait, tell)

    return _Way(f"{other[0]}:{other[1]}", secret, secret is not None, over_udp)


def _in_room(link: str) -> _Way:
    from audiodec.call.room import read_invitation, talk_in_room

    invitation = read_invitation(link)

    async def over_webrtc(
        end: Callable[[], Endpoint], source: Source, sink: Sink, wait: float, tell: Tell, say: Say
    ) -> None:
        await talk_in_room(end, invitation, source, sink, wait, tell, say)

    return _Way(f"room {invitation.room}", None, True, over_webrtc)


async def _talk(
    way: _Way, end: Callable[[], Endpoint], source: Source, sink: Sink, wait: float
) -> None:
    with console.status(f"calling {way.name}") as status:
        told = False

        def tell(now: dict[str, Any]) -> None:
            nonlocal told
            if not told:
                console.print("connected, " + ("encrypted" if way.encrypted else "in the open"))
                told = True
            delay = "" if now["delay_ms"] is None else f" · delay {now['delay_ms']:.0f} ms"
            status.update(
                f"{now['seconds']:.0f} s · sends {now['payload_kbps']:.1f} kbps · lost "
                f"{now['lost']} · recovered {now['recovered']} · concealed {now['concealed']} · "
                f"buffer {now['buffer_ms']:.0f} ms{delay}"
            )

        def say(words: str) -> None:
            nonlocal told
            told = False
            console.print(words)

        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        with OrderlyEnd(lambda: loop.call_soon_threadsafe(task.cancel)):
            await way.talk(end, source, sink, wait, tell, say)


def _sum(summaries: list[dict[str, Any]]) -> dict[str, Any]:
    """Add the counts of all connections of a call; of what is no count, the newest."""
    total = dict(summaries[-1])
    for key, value in total.items():
        counts = [each[key] for each in summaries]
        if isinstance(value, int) and not isinstance(value, bool) and None not in counts:
            total[key] = sum(counts)
    return total | {
        "seconds": round(sum(each["seconds"] for each in summaries), 2),
        "connections": sum(each["connected"] for each in summaries),
    }


def _source(
    stack: ExitStack, path: str | None, device: str | None, rate: int, step: float
) -> Source:
    from audiodec.sound.voices import Microphone, Muted, file_source

    if path == NOTHING:
        return Muted()
    if path is not None:
        return stack.enter_context(file_source(path, rate))
    from audiodec.sound.portaudio import PortAudioDevice

    microphone = Microphone(PortAudioDevice("input", device, rate, round(BLOCK_S * rate)), step)
    stack.callback(microphone.stop)
    microphone.start()
    return microphone


def _sink(stack: ExitStack, path: str | None, device: str | None, rate: int, step: float) -> Sink:
    from audiodec.audio_files.recording import record
    from audiodec.sound.voices import Loudspeaker, Muted

    if path == NOTHING:
        return Muted()
    if path is not None:
        return stack.enter_context(record(path, rate))
    from audiodec.sound.portaudio import PortAudioDevice

    loudspeaker = Loudspeaker(PortAudioDevice("output", device, rate, round(BLOCK_S * rate)), step)
    stack.callback(loudspeaker.stop)
    loudspeaker.start()
    return loudspeaker


def _address(text: str, option: str) -> Address:
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):  # IPv6
        host = host[1:-1]
    number = int(port) if port.isascii() and port.isdecimal() and len(port) <= 5 else 0
    if not host or set(host) & set("[]/ ") or not 0 < number < 65536:
        raise ConfigError(
            f"{option} needs HOST:PORT, e.g. 192.0.2.1:5004 or [2001:db8::1]:5004, not {text!r}"
        )
    return host, number


def _loopback(address: Address) -> bool:
    try:
        return ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        return address[0] == "localhost"


def _print(summary: dict[str, Any]) -> None:
    rows = [
        [name.replace("_", " "), "-" if value is None else str(value)]
        for name, value in summary.items()
    ]
    print_table(("the call", ""), rows)
