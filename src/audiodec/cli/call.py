"""`audiodec call`: two parties over UDP."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import time
from contextlib import ExitStack
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
BLOCK_S = 0.01  # seconds per block of a sound device
NOTHING = "none"


@call.callback()
def start(
    context: typer.Context,
    bind: Annotated[str, typer.Option(metavar="HOST:PORT", help="Own address.")] = "",
    to: Annotated[str, typer.Option(metavar="HOST:PORT", help="Address of the other end.")] = "",
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
    """Talk to one other over the network: each end names the other's address. Ctrl-C hangs up."""
    if context.invoked_subcommand is not None:
        return
    import audiodec
    from audiodec.call.endpoint import Endpoint
    from audiodec.call.keys import read_key
    from audiodec.sound.voices import FileSource

    own, other = _address(bind, "--bind"), _address(to, "--to")
    secret = read_key(key_file)
    if secret is None and not insecure and not (_loopback(own) and _loopback(other)):
        raise ConfigError(
            "a call needs a key: make one with `audiodec call keygen FILE`, give it to both ends "
            "and name it with --key-file; or ask for --insecure"
        )
    codec = audiodec.load(model)
    endpoint = Endpoint(codec, secret, bitrate, frames, dtx)
    with ExitStack() as stack:
        source = _source(stack, speak, input_device, codec.sample_rate, endpoint.period)
        sink = _sink(stack, hear, output_device, codec.sample_rate, endpoint.period)
        try:
            asyncio.run(_talk(endpoint, own, other, source, sink, wait))
        except asyncio.CancelledError:
            console.print("hung up")
    summary = endpoint.summary(time.monotonic())
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


async def _talk(
    endpoint: Endpoint, own: Address, other: Address, source: Source, sink: Sink, wait: float
) -> None:
    from audiodec.call.transport import open_udp, talk

    with console.status(f"calling {other[0]}:{other[1]}") as status:
        told = False

        def tell(now: dict[str, Any]) -> None:
            nonlocal told
            if not told:
                console.print("connected, " + ("encrypted" if now["encrypted"] else "in the open"))
                told = True
            delay = "" if now["delay_ms"] is None else f" · delay {now['delay_ms']:.0f} ms"
            status.update(
                f"{now['seconds']:.0f} s · sends {now['payload_kbps']:.1f} kbps · lost "
                f"{now['lost']} · recovered {now['recovered']} · concealed {now['concealed']} · "
                f"buffer {now['buffer_ms']:.0f} ms{delay}"
            )

        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        with OrderlyEnd(lambda: loop.call_soon_threadsafe(task.cancel)):
            async with open_udp(own, other) as channel:
                await talk(endpoint, channel, source, sink, wait, tell)
    if endpoint.gone:
        console.print("the other end is gone")


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
