"""What all workers have counted, those that are gone included: no counter goes backwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

PREFIX, WORKER_PREFIX = "audiodec_", "audiodec_worker_"

Labels = tuple[tuple[str, str], ...]
Values = Counter[tuple[str, Labels]]  # of samples, by name and labels
Family = list[Any]  # name, documentation, type, samples: each its name, labels and value


def snapshot(registry: CollectorRegistry) -> list[Family]:
    """Give what a registry holds in a form that JSON carries; times of creation are left out."""
    return [
        [
            family.name, family.documentation, family.type,
            [[s.name, s.labels, s.value] for s in family.samples if s.name[-8:] != "_created"],
        ]
        for family in registry.collect()
    ]  # fmt: skip


class Totals(Collector):
    """Sums over workers, and beside them the figures of each that lives.

    Attributes:
        registry: what is written; others may add to it.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self._kinds: dict[str, tuple[str, str]] = {}  # documentation and type, by family
        self._now: dict[int, dict[str, Values]] = {}  # by worker and family
        self._past: dict[int, dict[str, Values]] = {}  # counted by those before it

    def update(self, worker: int, families: Iterable[Family]) -> None:
        """Take what a worker has counted so far."""
        own = self._now[worker] = {}
        for name, documentation, kind, samples in families:
            self._kinds[name] = (documentation, kind)
            own[name] = Counter(
                {(sample, tuple(sorted(labels.items()))): v for sample, labels, v in samples}
            )

    def bury(self, worker: int) -> None:
        """Keep what a worker counted that is gone, for the next one of its number."""
        past = self._past.setdefault(worker, {})
        for name, values in self._now.pop(worker, {}).items():
            if self._kinds[name][1] != "gauge":
                past.setdefault(name, Counter()).update(values)

    def collect(self) -> Iterator[Metric]:
        """Give all families, as Prometheus' library asks for them."""
        for name, (documentation, kind) in self._kinds.items():
            total = Metric(name, f"{documentation} All workers together.", kind)
            each = Metric(name.replace(PREFIX, WORKER_PREFIX, 1), documentation, kind)
            totals: Values = Counter()
            for worker in sorted(self._now.keys() | self._past.keys()):
                values: Values = Counter()
                for counted in (self._past, self._now):
                    values.update(counted.get(worker, {}).get(name, {}))
                totals.update(values)
                if worker in self._now:
                    for (sample, labels), value in values.items():
                        own = {"worker": str(worker), **dict(labels)}
                        each.add_sample(sample.replace(PREFIX, WORKER_PREFIX, 1), own, value)
            for (sample, labels), value in totals.items():
                total.add_sample(sample, dict(labels), value)
            yield from (total, each)

    def text(self) -> str:
        """Write all figures in Prometheus' text format."""
        return generate_latest(self.registry).decode()
