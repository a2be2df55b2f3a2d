"""What a server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

SECONDS_BUCKETS = (0.001, 0.002, 0.003, 0.004, 0.005, 0.00667, 0.01, 0.01333, 0.02, 0.05, 0.1, 0.5)
STREAMS_BUCKETS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128)


class Metrics:
    """Counters of one process, in a registry of their own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        own = self.registry = CollectorRegistry()
        self.open = Gauge("audiodec_streams", "Streams open now.", ["mode"], registry=own)
        self.opened = Counter("audiodec_opened", "Streams opened.", ["mode"], registry=own)
        self.refused = Counter(
            "audiodec_refused", "Connections that got no stream.", ["reason"], registry=own
        )
        self.closed = Counter("audiodec_closed", "Streams ended.", ["reason"], registry=own)
        self.bytes = Counter(
            "audiodec_bytes", "Sound and packets, in and out.", ["direction"], registry=own
        )
        self.dropped = Counter(
            "audiodec_datagrams_dropped", "Datagrams not used.", ["reason"], registry=own
        )
        self.packets = Counter("audiodec_packets", "Packets coded.", ["mode"], registry=own)
        self.call = Histogram(
            "audiodec_call_seconds", "A call of the model.", buckets=SECONDS_BUCKETS, registry=own
        )
        self.batch = Histogram(
            "audiodec_call_streams", "Streams in a call.", buckets=STREAMS_BUCKETS, registry=own
        )
        self.late = Counter(
            "audiodec_late_calls", "Calls that took longer than their sound lasts.", registry=own
        )

    def on_call(self, mode: str, streams: int, packets: int, seconds: float, sound: float) -> None:
        """Take note of a call of the model, as `Engine` tells of it."""
        self.packets.labels(mode).inc(streams * packets)
        self.call.observe(seconds)
        self.batch.observe(streams)
        if seconds > sound:
            self.late.inc()

    def text(self) -> bytes:
        """Write all figures in Prometheus' text format."""
        return generate_latest(self.registry)
