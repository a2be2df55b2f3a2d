"""Codecs for tests, as other processes would make them."""

from __future__ import annotations

import pickle

import pytest

import audiodec
from audiodec.evaluation.codecs import (
    MissingCodecError,
    Peer,
    find_specs,
)


def peers(name: str, *rates: float, **settings: object) -> list[Peer]:
    """Skips, saying why, where the codec cannot run."""
    try:
        specs = find_specs([name], rates or None, **settings)  # type: ignore[arg-type]
        return [pickle.loads(pickle.dumps(spec)).create() for spec in specs]
    except (MissingCodecError, audiodec.MissingExtraError) as error:
        pytest.skip(str(error))
