"""Errors a user can make, by name. Each carries one line that says what is wrong and what to do."""

from __future__ import annotations


class AudioDecError(Exception):
    """Base of every error this library raises on purpose."""


class ConfigError(AudioDecError):
    """A recipe, model configuration or command-line value does not fit."""


class ModelError(AudioDecError):
    """A model is missing, damaged, or not the one the data was made with."""


class FormatError(AudioDecError):
    """Bytes are not what the format says: damaged, truncated or not ours."""


class AudioError(AudioDecError):
    """Audio has an unusable shape, type or content, or a file cannot be read."""


class MissingExtraError(AudioDecError):
    """A feature needs an optional dependency that is not installed.

    Args:
        feature: What needs it, as the message begins.
        extra: The extra of this package that brings it, e.g. `bench`.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs extra packages: pip install '.[{extra}]' in a checkout of AudioDec, "
            f"or pip install 'audiodec-….whl[{extra}]' with the wheel's name"
        )
        self._made_of = (feature, extra)

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), self._made_of  # so that it can come from another process
