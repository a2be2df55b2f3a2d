"""Codecs by name: the built-in ones, and those that other packages register.

A package registers a codec with an entry point of the group `audiodec.codecs` that names a
`Family` (docs/codecs.md has an example). The built-in ones are a table of the same shape, so that
a codec is imported only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points

from audiodec.errors import AudioDecError, ConfigError, ModelError
from audiodec.evaluation.codecs.base import Family, MissingCodecError, Spec, offered
from audiodec.evaluation.codecs.ours import OursSpec
from audiodec.pretrained import find_model, read_info

GROUP = "audiodec.codecs"
OURS = "ours"
BUILT_IN = {
    "opus": "opus:AUTO",
    "opus-fullband": "opus:WHOLE",
    "opus-nolace": "nolace:FAMILY",
    "amr-wb": "amr_wb:FAMILY",
    "lc3": "lc3:WIDEBAND",
    "lc3-fullband": "lc3:FULLBAND",
    "speex": "speex:FAMILY",
    "codec2": "codec2:FAMILY",
    "encodec": "neural.encodec:FAMILY",
    "dac": "neural.dac:FAMILY",
    "mimi": "neural.mimi:FAMILY",
    "snac": "neural.snac:FAMILY",
    "lyra": "lyra:FAMILY",
}
SPEED_ONLY = {  # random weights: they may be timed, but not heard
    "encodec-random": "neural.encodec:RANDOM",
    "dac-random": "neural.dac:RANDOM",
    "mimi-random": "neural.mimi:RANDOM",
    "snac-random": "neural.snac:RANDOM",
}


def find_specs(
    names: Sequence[str],
    rates: Sequence[float] | None = None,
    model: str | None = None,
    beam_width: int = 1,
) -> list[Spec]:
    """Find the codecs of these names, at the bitrates asked for.

    Args:
        names: Codecs as in docs/codecs.md; or models of this project, by name or folder.
        rates: kbps; a codec is taken at the nearest rate that it offers, if at most 10 % off, and
            left out where there is none. All rates on offer if None.
        model: Of the codec "ours", by name or folder; the default model if None.
        beam_width: Of the search of our models, 1 to 64.

    Raises:
        ConfigError: There is no such codec, or no codec offers any of the rates.
        MissingCodecError, MissingExtraError: A codec cannot run here; the message says how to get
            it.
    """
    registered, specs = _entries(), []
    for name in dict.fromkeys(names):
        if name == OURS:
            specs += _ours(model, rates, beam_width)
        elif name in registered:
            specs += _family(registered[name]).specs(rates)
        else:
            try:
                find_model(name)
            except ModelError:
                known = ", ".join([OURS, *registered])
                raise ConfigError(
                    f"no codec or model {name!r}: codecs are {known}; or give a model folder"
                ) from None
            specs += _ours(name, rates, beam_width)
    if not specs:
        asked = ", ".join(f"{kbps:g}" for kbps in rates or ())
        raise ConfigError(f"{', '.join(names) or 'no codec'}: nothing at {asked or 'any'} kbps")
    return specs


def available() -> dict[str, str | None]:
    """List what can be compared here: codec by name -> None, or one line how to get it.

    A broken registration of another package is told in its line. Random weights are left out.
    """
    found: dict[str, str | None] = {OURS: None}
    for name, entry in _entries().items():
        if name in SPEED_ONLY:
            continue
        try:
            found[name] = _family(entry).missing()
        except AudioDecError as error:
            found[name] = str(error)
    return found


def _entries() -> dict[str, EntryPoint]:
    """Built-in codecs first; a package cannot take their names."""
    own = {
        name: EntryPoint(name, f"audiodec.evaluation.codecs.{value}", GROUP)
        for name, value in (BUILT_IN | SPEED_ONLY).items()
    }
    return own | {e.name: e for e in entry_points(group=GROUP) if e.name not in own}


def _family(entry: EntryPoint) -> Family:
    """Load a family. Raises ConfigError when the entry point leads to none, MissingCodecError when
    its module needs a package that is not installed."""
    try:
        family = entry.load()
    except ModuleNotFoundError as error:
        raise MissingCodecError(f"{entry.name} needs a package: pip install {error.name}") from None
    except Exception as error:  # whatever the import of a foreign package raises
        raise ConfigError(f"codec {entry.name} ({entry.value}) cannot be loaded: {error}") from None
    if not isinstance(family, Family):
        raise ConfigError(f"codec {entry.name}: {entry.value} is no Family of audiodec")
    return family


def _ours(model: str | None, rates: Sequence[float] | None, beam_width: int) -> list[Spec]:
    config = read_info(find_model(model)).codec
    own = [config.bitrate(count + 1) for count in range(config.quantizer.codebooks)]
    return [OursSpec(model, kbps, beam_width) for kbps in offered(own, rates)]
