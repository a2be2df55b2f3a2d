"""A benchmark as a page to look at and listen to, and as a table for a README."""

from audiodec.evaluation.report.markdown import markdown
from audiodec.evaluation.report.page import page
from audiodec.evaluation.report.sounds import ClipSounds, read_sounds

__all__ = ["ClipSounds", "markdown", "page", "read_sounds"]
