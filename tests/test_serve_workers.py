"""`audiodec serve --workers`: several processes that are one server to everybody else."""

from __future__ import annotations

import json
import os
import signal
import ssl
import sys
import urllib.error
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

import audiodec
from tests.ending_tools import is_one_line, run

pytest.importorskip("websockets")
pytest.importorskip("prometheus_client")

from prometheus_client import CollectorRegistry, Counter, Gauge
from websockets.exceptions import ConnectionClosed

from audiodec.errors import ConfigError
from audiodec.serve import cores, handover
from audiodec.serve.limits import Limits
from audiodec.serve.messages import Close
from audiodec.serve.offer import Order
from audiodec.serve.supervisor import Supervisor
from audiodec.serve.totals import Totals, snapshot
from tests.serve_tools import WAIT, Command, make_certificate, noise, refusal, through

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows hands no sockets from process to process"
)


@pytest.fixture
def two(small_folder: Path) -> list[object]:
    """Options of two workers."""
    return ["--workers", 2, "--model", small_folder]


def test_two_workers_are_one_server(two: list[object], small: audiodec.Codec) -> None:
    with Command(*two, "--streams", 5) as server, ExitStack() as open_:
        assert server.page("/healthz") == "alive\n"
        assert server.page("/readyz") == "ready\n"
        clients = [
            open_.enter_context(server.stream(mode="encode", format="f32"))[0] for _ in range(4)
        ]
        for worker in (0, 1):
            shared = f'audiodec_worker_streams{{mode="encode",worker="{worker}"}}'
            server.wait_for(shared, 2)
        server.wait_for('audiodec_streams{mode="encode"}', 4)
        with server.stream(mode="decode", transport="rtp") as (_, agreed):
            assert agreed["rtp"]["port"]
            with pytest.raises(urllib.error.HTTPError, match="503"):
                server.page("/readyz")
            with server.stream(mode="encode") as (client, error):
                assert "all streams are taken" in error["error"]
                assert refusal(client)[0] == Close.FULL
        server.wait_for('audiodec_streams{mode="decode"}', 0)
        assert server.page("/readyz") == "ready\n"
        server.process.send_signal(signal.SIGTERM)
        for number, client in enumerate(clients):
            assert json.loads(client.recv(WAIT)) == {"draining": 30}
            sound = noise(number, 8000)
            packets, _ = through(client, [sound.tobytes()])
            assert packets == small.encoder().write(sound)
        assert server.wait() == 0
        assert not any("died" in line or "Traceback" in line for line in server.said)


def test_a_worker_that_dies_takes_its_own_streams_and_is_replaced(
    two: list[object], small: audiodec.Codec
) -> None:
    with Command(*two) as server, ExitStack() as open_:
        clients = [open_.enter_context(server.stream(mode="encode"))[0] for _ in range(4)]
        for client in clients:
            client.send(bytes(320))
            client.recv(WAIT)
        counted = 'audiodec_packets_total{mode="encode"}'
        server.wait_for(counted, 4)
        before = server.workers()
        os.kill(before[1], signal.SIGKILL)
        server.wait_to_say("worker 1 serves", 2)
        lost = 0
        for client in clients:
            try:
                through(client, [bytes(320)])
            except ConnectionClosed:
                lost += 1
        assert lost == 2
        server.wait_for(counted, 6)
        after = server.workers()
        assert after[0] == before[0]
        assert after[1] != before[1]
        with server.stream(mode="encode") as (client, _), server.stream(mode="encode"):
            server.wait_for('audiodec_worker_streams{mode="encode",worker="1"}', 1)
            through(client, [bytes(320)])
        server.wait_for(counted, 7)
        assert server.count("audiodec_workers_replaced_total") == 1
        assert server.count("audiodec_workers") == 2


def test_workers_that_die_again_and_again_end_the_server(two: list[object]) -> None:
    with Command(*two) as server:
        for times in range(1, 6):
            server.wait_to_say("worker 0 serves", times)
            os.kill(server.workers()[0], signal.SIGKILL)
            server.wait_to_say("worker 0 died", times)
        assert server.wait() == 1
        assert [line for line in server.said if line.startswith("audiodec: error: ")] == [
            "audiodec: error: 5 workers in a row died as soon as they served (SIGKILL): "
            "the server ends"
        ]


def test_a_hangup_lets_new_workers_take_over(
    two: list[object], small: audiodec.Codec, tmp_path: Path
) -> None:
    chain, key = make_certificate(tmp_path)
    tokens = tmp_path / "tokens"
    tokens.write_text("old")
    tokens.chmod(0o600)
    files = ("--certificate", chain, "--private-key", key, "--tokens", tokens)
    sound = noise(0, 8000)
    trust = ssl.create_default_context(cafile=chain)
    with Command(*two, *files, trust=trust) as server:
        assert server.url.startswith("wss://")
        with server.stream(mode="encode", format="f32", token="old") as (client, _):
            client.send(sound[:4000].tobytes())
            chain.write_text("damaged")
            server.process.send_signal(signal.SIGHUP)
            (warning,) = server.wait_to_say("nothing is renewed")
            assert str(chain) in warning
            assert list(server.workers()) == [0, 1]
            assert server.page("/readyz") == "ready\n"

            make_certificate(tmp_path)
            tokens.write_text("new")
            server.process.send_signal(signal.SIGHUP)
            server.wait_to_say("worker 3 serves")
            server.trust = ssl.create_default_context(cafile=chain)
            server.wait_for("audiodec_workers", 3)  # one of the old ones has a stream
            with server.stream(mode="encode", token="old") as (other, _):
                assert refusal(other)[0] == Close.DENIED
            with server.stream(mode="encode", token="new") as (other, _):
                through(other, [bytes(320)])
            packets, _ = through(client, [sound[4000:].tobytes()])
        assert packets == small.encoder().write(sound)
        server.wait_for("audiodec_workers", 2)
        server.wait_for('audiodec_opened_total{mode="encode"}', 2)
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0


def test_one_process_reads_tokens_and_certificate_anew(small_folder: Path, tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path)
    tokens = tmp_path / "tokens"
    tokens.write_text("old")
    tokens.chmod(0o600)
    options = ("--model", small_folder, "--certificate", chain, "--private-key", key)
    trust = ssl.create_default_context(cafile=chain)
    with Command(*options, "--tokens", tokens, "--streams", 1, trust=trust) as server:
        key.write_text("damaged")
        tokens.write_text("new")
        server.process.send_signal(signal.SIGHUP)
        server.wait_to_say("warning: nothing is renewed")
        with server.stream(mode="encode", token="old") as (client, _):
            with pytest.raises(urllib.error.HTTPError, match="503"):
                server.page("/readyz")
            make_certificate(tmp_path)
            server.process.send_signal(signal.SIGHUP)
            server.wait_to_say("read anew")
            through(client, [bytes(320)])
        server.trust = ssl.create_default_context(cafile=chain)
        with server.stream(mode="encode", token="new") as (client, _):
            through(client, [bytes(320)])


def test_datagrams_have_a_port_for_each_worker(small_folder: Path) -> None:
    from tests.test_call_processes import free_ports

    (port,) = free_ports(1)
    options = ("--workers", 2, "--model", small_folder, "--port", port)
    with Command(*options) as server, ExitStack() as open_:
        hello = {"mode": "encode", "transport": "rtp"}
        agreed = [open_.enter_context(server.stream(**hello))[1] for _ in range(2)]
        assert {each["rtp"]["port"] for each in agreed} == {port, port + 1}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--workers", 2, "--rooms"], "--rooms needs one process"),
        (["--workers", 0], "--workers 0"),
        (["--workers", "many"], "--workers many"),
        (["--workers", 2, "--model", "nowhere"], "nowhere"),
        (["--workers", 2, "--host", "0.0.0.0"], "give access tokens"),
        (["--workers", 2, "--host", "192.0.2.1", "--tokens"], "cannot serve at 192.0.2.1"),
        (["--certificate", "a.pem"], "both --certificate and --private-key"),
        (["--certificate", "a.pem", "--private-key", "a.key"], "a.pem cannot be read"),
    ],
)
def test_orders_that_cannot_be_served(options: list[object], said: str, tmp_path: Path) -> None:
    if options[-1] == "--tokens":
        (tmp_path / "tokens").write_text("secret")
        (tmp_path / "tokens").chmod(0o600)
        options = [*options, tmp_path / "tokens"]
    done = run("serve", "--port", 0, *options, timeout=WAIT)
    assert done.returncode == 1
    assert is_one_line(done.stderr)
    assert said in done.stderr


def test_certificates_that_are_none(tmp_path: Path) -> None:
    from audiodec.serve.tls import Certificate

    chain, key = make_certificate(tmp_path)
    _, other = make_certificate(tmp_path, "other")
    locked = tmp_path / "locked.key"
    command = f"openssl ec -aes256 -passout pass:x -in {key} -out {locked}"
    assert os.system(f"{command} 2> /dev/null") == 0
    context = Certificate(chain, key).context()
    for wrong, said in (
        (Certificate(chain, other), "key values mismatch"),
        (Certificate(key, key), "no certificate"),
        (Certificate(chain, locked), "locked with a passphrase"),
        (Certificate(tmp_path, key), "Is a directory"),
    ):
        with pytest.raises(ConfigError, match=said):
            wrong.renew(context)


def test_a_system_that_hands_no_sockets_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(handover.socket, "send_fds")
    with pytest.raises(ConfigError, match="leave --workers out"):
        Supervisor(Order(Limits(), []), 2, print)


def test_cores_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(cores, "QUOTA", quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for text, expected in (
        ("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1),
        ("9900000 100000", 8), ("", 8),
    ):  # fmt: skip
        quota.write_text(text)
        assert cores.cores() == expected


def test_totals_never_go_backwards() -> None:
    rng, totals, counted = np.random.default_rng(0), Totals(), 0

    def registry() -> tuple[CollectorRegistry, Counter, Gauge]:
        own = CollectorRegistry()
        return (
            own,
            Counter("audiodec_a", "A.", ["b"], registry=own),
            Gauge("audiodec_c", "C.", registry=own),
        )

    def value(name: str) -> float:
        lines = dict(line.rsplit(" ", 1) for line in totals.text().splitlines() if line[0] != "#")
        return float(lines.get(name, 0))

    workers = [registry() for _ in range(3)]
    for _ in range(200):
        number = int(rng.integers(3))
        own, counter, gauge = workers[number]
        if rng.random() < 0.2:  # it dies, and another takes its number
            totals.bury(number)
            workers[number] = registry()
            assert value(f'audiodec_worker_c{{worker="{number}"}}') == 0
        else:
            counter.labels("x").inc(step := int(rng.integers(5)))
            gauge.set(7)
            counted += step
            totals.update(number, json.loads(json.dumps(snapshot(own))))
            assert value(f'audiodec_worker_c{{worker="{number}"}}') == 7
        assert value('audiodec_a_total{b="x"}') == counted
