"""`deploy/`: what can be tried of it without containers, with the same files."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

import audiodec
from tests.documents import ROOT
from tests.serve_tools import WAIT, Command, Reached, noise, through
from tests.test_call_processes import free_ports
from tests.test_disks import mounted

DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
KUBERNETES = ("1.30", "1.33")  # versions: the oldest that we look at, and a later one


def documents() -> list[dict[str, Any]]:
    return [each for path in MANIFESTS for each in yaml.safe_load_all(path.read_text())]


def of(kind: str, name: str = "audiodec") -> dict[str, Any]:
    (found,) = [
        each for each in documents() if (each["kind"], each["metadata"]["name"]) == (kind, name)
    ]
    return found


@pytest.mark.parametrize("version", KUBERNETES)
def test_manifests_fit_the_schemas_of_kubernetes(version: str) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    kinds = [each["kind"] for each in documents()]
    assert sorted(kinds) == [
        "Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Service", "Service",
    ]  # fmt: skip
    for each in documents():
        validate.validate(each, version, strict=True)
    wrong = of("Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["ports"] = "8765"
    with pytest.raises(validate.ValidationError):
        validate.validate(wrong, version, strict=True)


def test_manifests_fit_each_other_and_the_server() -> None:
    pod = of("Deployment")["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    labels = pod["metadata"]["labels"]
    assert of("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    for name in ("audiodec", "audiodec-rtp"):
        assert of("Service", name)["spec"]["selector"] == labels
    options = dict(zip(container["args"][::2], container["args"][1::2], strict=True))
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    grace = pod["spec"]["terminationGracePeriodSeconds"]
    assert grace >= pause + int(options["--drain"]) + 10
    datagrams = {p["containerPort"] for p in container["ports"] if p["protocol"] == "UDP"}
    assert datagrams == set(range(8765, 8765 + 2 * int(options["--workers"])))
    through_service = of("Service", "audiodec-rtp")["spec"]["ports"]
    assert {p["port"] for p in through_service if p["protocol"] == "UDP"} == datagrams
    (metric,) = of("HorizontalPodAutoscaler")["spec"]["metrics"]
    assert int(metric["pods"]["target"]["averageValue"]) < int(options["--streams"])


def test_files_of_compose_are_there() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./") and source != "./tls":
                assert (DEPLOY / source).is_file(), source
    assert (ROOT / compose["services"]["audiodec"]["build"]["dockerfile"]).is_file()


# The entry point


def words(instruction: str) -> list[str]:
    """An instruction of the Dockerfile in its form of a list."""
    text = (DEPLOY / "Dockerfile").read_text()
    (found,) = re.findall(rf"^{instruction} (\[.*\])$", text, re.MULTILINE)
    return list(json.loads(found))


@pytest.mark.optional
def test_the_entry_point_as_nobody_with_nothing_to_write_to(
    small_folder: Path, tmp_path: Path
) -> None:
    """As the image runs it, under our model, on another port; and its health check."""
    program, *options = words("ENTRYPOINT") + words("CMD")
    assert program == "audiodec"
    (port,) = free_ports(1)
    options[options.index("8765")] = str(port)
    options += ["--model", "/mnt/model"]
    check = re.search(r'CMD \["python", "-c", "(.*)"\]', (DEPLOY / "Dockerfile").read_text())
    assert check is not None
    script = tmp_path / "script" / "run.py"
    script.parent.mkdir()
    script.write_text(
        "import os, signal, subprocess, sys\n"
        f"server = subprocess.Popen([sys.executable, '-m', 'audiodec', *{options!r}],\n"
        "    stdout=subprocess.PIPE, text=True)\n"
        "assert server.stdout.readline().startswith('ws://0.0.0.0:')\n"
        "for folder in ('/', '/tmp', '/dev/shm', '/mnt', os.getcwd()):\n"
        "    assert not os.access(folder, os.W_OK), folder\n"
        "assert os.getuid() == 65534\n"
        f"{check[1].replace('8765', str(port))}\n"
        "server.send_signal(signal.SIGTERM)\n"
        f"assert server.wait({WAIT}) == 0\n"
        "print('served')\n"
    )
    # Folders that only root may enter are reached past their parents.
    places: dict[str, str | Path] = {
        "python": sys.base_prefix, "site": Path(yaml.__file__).parents[1],
        "src": ROOT / "src", "model": small_folder, "script": script.parent,
    }  # fmt: skip
    binds = "".join(
        f"mkdir /mnt/{name}; mount --bind '{place}' /mnt/{name}; " for name, place in places.items()
    )
    python = f"/mnt/python/{Path(os.path.realpath(sys.executable)).relative_to(sys.base_prefix)}"
    result = mounted(
        f"""
        mount -t tmpfs tmpfs /mnt
        chmod 755 /mnt
        {binds}
        mount -o remount,ro,bind /
        mount -o remount,ro /mnt
        mount -t tmpfs -o ro tmpfs /tmp
        mount -t tmpfs -o ro tmpfs /dev/shm
        cd /
        export AUDIODEC_TOKENS=secret PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/mnt/src:/mnt/site
        export LD_LIBRARY_PATH=/mnt/python/lib  # a shared library of Python lies there
        exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs \\
            --bounding-set=-all {python} /mnt/script/run.py
        """
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "served\n"


# A proxy and a collector of metrics


@contextmanager
def running(command: list[object], folder: Path, ready: str) -> Iterator[None]:
    """A program in the background, once an address answers."""
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, cwd=folder)
    try:
        for _ in range(10 * WAIT):
            assert process.poll() is None, (folder / "log").read_text()
            try:
                with socket.create_connection(("127.0.0.1", int(ready)), timeout=1):
                    break
            except OSError:
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(WAIT)


def changed(name: str, folder: Path, **changes: object) -> Path:
    """A file of `deploy/` with what is different here."""
    text = (DEPLOY / name).read_text()
    for old, new in changes.items():
        old = {"server": "audiodec:8765", "port": "8443", "tls": "/etc/nginx/tls",
               "tmp": "/tmp", "often": "scrape_interval: 10s"}[old]  # fmt: skip
        assert old in text
        text = text.replace(old, str(new))
    (folder / name).write_text(text)
    return folder / name


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip(f"no {name}: apt-get install {name}")
    return found


def test_a_proxy_with_tls_before_two_workers(
    small_folder: Path, small: audiodec.Codec, tmp_path: Path
) -> None:
    nginx = program("nginx")
    (port,) = free_ports(1)
    shutil.copy(DEPLOY / "make-certificate", tmp_path)
    subprocess.run([tmp_path / "make-certificate"], check=True, capture_output=True)
    with Command("--workers", 2, "--model", small_folder) as server:
        config = changed(
            "nginx.conf", tmp_path,
            server=f"127.0.0.1:{server.port}", port=port, tmp=tmp_path, tls=tmp_path / "tls",
        )  # fmt: skip
        command = [nginx, "-e", "stderr", "-p", tmp_path, "-c", config, "-g", "daemon off;"]
        with running(command, tmp_path, str(port)):
            proxy = Reached()
            proxy.url = f"wss://localhost:{port}/stream"
            proxy.trust = ssl.create_default_context(cafile=tmp_path / "tls" / "server.pem")
            sounds = [noise(number, 8000) for number in range(2)]
            with (
                proxy.stream(mode="encode", format="f32") as (one, _),
                proxy.stream(mode="encode", format="f32") as (two, _),
            ):
                for worker in (0, 1):
                    name = f'audiodec_worker_streams{{mode="encode",worker="{worker}"}}'
                    server.wait_for(name, 1)
                for client, sound in zip((one, two), sounds, strict=True):
                    packets, _ = through(client, [sound.tobytes()])
                    assert packets == small.encoder().write(sound)
            for path in ("/metrics", "/healthz", "/"):
                with pytest.raises(urllib.error.HTTPError, match="404"):
                    proxy.page(path)


def test_a_collector_of_metrics_and_the_dashboard(small_folder: Path, tmp_path: Path) -> None:
    prometheus = program("prometheus")
    (port,) = free_ports(1)
    dashboard = json.loads((DEPLOY / "grafana" / "audiodec.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]

    def ask(expression: str) -> list[Any]:
        query = urllib.parse.urlencode({"query": expression})
        url = f"http://127.0.0.1:{port}/api/v1/query?{query}"
        try:
            with urllib.request.urlopen(url, timeout=WAIT) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return []  # it begins
            raise
        assert answer["status"] == "success", expression
        return list(answer["data"]["result"])

    def wait_for(expression: str) -> list[Any]:
        for _ in range(10 * WAIT):
            if found := ask(expression):
                return found
            time.sleep(0.1)
        raise AssertionError(f"nothing comes of {expression}")

    with Command("--workers", 2, "--model", small_folder) as server:
        page = server.page("/metrics")
        config = changed(
            "prometheus.yml", tmp_path,
            server=f"127.0.0.1:{server.port}", often="scrape_interval: 1s",
        )  # fmt: skip
        command = [
            prometheus, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]  # fmt: skip
        with running(command, tmp_path, str(port)):
            with server.stream(mode="encode") as (client, _):
                wait_for('sum(audiodec_streams{mode="encode"}) == 1')
                wait_for('sum(audiodec_worker_streams{mode="encode"}) == 1')
                through(client, 10 * [bytes(320)])
            wait_for('sum(audiodec_packets_total{mode="encode"}) == 10')
            assert wait_for("audiodec_workers")[0]["value"][1] == "2"
            for expression in asked:
                ask(expression)
    for name in set(re.findall(r"audiodec_\w+", " ".join(asked))):
        assert re.search(rf"^# TYPE {re.sub('_(bucket|count)$', '', name)} ", page, re.M), name
