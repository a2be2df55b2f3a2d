"""Codecs on the same clips in one run: scores of every clip, means with bootstrap intervals."""

from audiodec.evaluation.quality.clips import Clip, find_clips, read_clip
from audiodec.evaluation.quality.runner import Benchmark
from audiodec.evaluation.quality.scores import LABELS, Score, read_scores, write_scores
from audiodec.evaluation.quality.store import Store
from audiodec.evaluation.quality.summary import Mean, groups, summarise
from audiodec.evaluation.quality.uncoded import UncodedSpec

__all__ = [
    "LABELS",
    "Benchmark",
    "Clip",
    "Mean",
    "Score",
    "Store",
    "UncodedSpec",
    "find_clips",
    "groups",
    "read_clip",
    "read_scores",
    "summarise",
    "write_scores",
]
