"""Answers that survive; a server that gives only what it should."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from audiodec.errors import ConfigError
from audiodec.evaluation.listening.answers import Answers

pytest.importorskip("uvicorn", reason="the extra `bench` is not installed")
pytest.importorskip("pyloudnorm", reason="the extra `bench` is not installed")

from tests.test_listening import command, imagined, make_test


def test_answers_survive_and_do_not_double(tmp_path: Path) -> None:
    test = imagined("mushra", clips=2, systems=1)
    token = Answers(test, tmp_path).register("ann")
    Answers(test, tmp_path).store(token, 0, {0: 12}, done=False)
    again = Answers(test, tmp_path)
    assert again.register("ann") == token
    progress = again.progress(token)
    assert progress is not None
    assert (progress.number, progress.scores) == (0, {0: 12})
    with pytest.raises(ConfigError, match="rate every stimulus"):
        again.store(token, 0, {1: 5}, done=True)
    full = dict.fromkeys(range(4), 50)
    assert again.store(token, 0, full, done=True).number == 1
    after = again.store(token, 0, dict.fromkeys(range(4), 99), done=True)  # a double click
    assert (after.number, after.scores) == (1, {})
    for number in (1, 2, 2, 1):
        after = again.store(token, number, full, done=True)
    assert after.number is None
    ratings, unfinished = again.ratings()
    assert unfinished == []
    assert [r.score for r in ratings] == [50.0] * 8  # practice is not counted
    assert len({(r.clip, r.system) for r in ratings}) == 8


def test_wrong_answers_are_refused(tmp_path: Path) -> None:
    answers = Answers(imagined("mos", clips=1, systems=2), tmp_path)
    token = answers.register("ann")
    for slot, score in ((0, 0), (0, 6), (1, 3), (-1, 3)):
        with pytest.raises(ConfigError, match="no such stimulus or score"):
            answers.store(token, 0, {slot: score}, done=True)
    with pytest.raises(ConfigError, match="no such listener"):
        answers.store("' OR 1=1 --", 0, {0: 3}, done=True)
    assert answers.progress("' OR 1=1 --") is None
    assert answers.ratings() == ([], ["ann"])
    with pytest.raises(ConfigError, match="another version of this test"):
        Answers(imagined("mos", clips=2, systems=2), tmp_path)


def test_listeners_at_once_get_numbers_of_their_own(tmp_path: Path) -> None:
    answers = Answers(imagined("mos", clips=2, systems=2), tmp_path)
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(answers.register, [f"ear {n % 10}" for n in range(40)]))
    assert len(set(tokens)) == 10
    assert len({str(answers.progress(t)) for t in tokens}) > 2


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a test served by the command, stopped by Ctrl-C at the end."""
    command = [sys.executable, "-m", "audiodec", "listen", "serve", str(folder), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        found = re.search(r"http://\S+", process.stderr.readline())
        assert found, process.stderr.read()
        yield found.group()
    finally:
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=30)[1]
    assert (process.returncode, rest) == (0, "stopped\n")


def test_the_server_gives_only_what_it_should(tmp_path: Path) -> None:
    folder = make_test(tmp_path, "abx", clips=1)
    secret = (folder / "test.json").read_bytes()
    with served(folder) as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)

        def ask(
            path: str, body: object = None, kind: str = "application/json"
        ) -> tuple[int, bytes]:
            data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(
                "GET" if body is None else "POST", path, data, {"Content-Type": kind}
            )
            response = connection.getresponse()
            content = response.read()
            assert response.status < 500
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert secret not in content
            return response.status, content

        assert ask("/")[0] == 200
        name = "Robert'); DROP TABLE listener;--"
        token = json.loads(ask("/api/listener", {"name": f"  {name} "})[1])["token"]
        again = json.loads(ask("/api/listener", {"name": name})[1])["token"]
        assert again == token
        status, sound = ask(f"/api/{token}/sound/0/2")
        assert status == 200
        assert sound[:4] == b"fLaC"
        state = json.loads(ask(f"/api/{token}")[1])
        assert state["place"] == 1
        good = {"trial": state["trial"], "scores": [None, None, 1], "done": True}
        paths = (
            "/test.json", "/../test.json", "/..%2ftest.json", "/%2e%2e/test.json",
            "/answers.sqlite",
            "/api/nobody", f"/api/{token}/sound/0/3", f"/api/{token}/sound/99/0",
            f"/api/{token}/sound/{'9' * 5000}/0", f"/api/{token}/sound/-1/0",
            f"/api/{token}/sound/0/..%2f..%2ftest.json",
        )  # fmt: skip
        names = ("", "x" * 41, "a\x00b", ["x"], None)
        bodies = (b"[" * 4000, b"\xff\xfe", b'{"name": "\\ud800"}', b"x" * 10_000, b"[]")
        changes: tuple[dict[str, object], ...] = (
            {"trial": "0"}, {"trial": True}, {"scores": {"2": 1}}, {"scores": [0] * 9},
            {"scores": [None, None, 2]}, {"scores": [None, None, True]}, {"done": 1},
            {"scores": [None, None, 0.5]}, {"scores": [None, None, None]},
        )  # fmt: skip
        refused = [
            *(ask(path) for path in paths),
            *(ask("/api/listener", {"name": name}) for name in names),
            *(ask("/api/listener", body) for body in bodies),
            *(ask(f"/api/{token}/answer", good | change) for change in changes),
            ask("/api/listener", {"name": "form"}, "text/plain"),
            ask("/api/nobody/answer", good),
        ]
        assert {status for status, _ in refused} <= {400, 404, 413, 415}
        assert json.loads(ask(f"/api/{token}")[1]) == state  # all that changed nothing
        following = json.loads(ask(f"/api/{token}/answer", good)[1])
        assert following["trial"] == state["trial"] + 1
        assert json.loads(ask(f"/api/{token}/answer", good)[1]) == following
        connection.close()


def test_mistakes_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def error(*arguments: object) -> str:
        with pytest.raises(SystemExit) as stopped:
            command(monkeypatch, *arguments)
        assert stopped.value.code == 1
        errors = capsys.readouterr().err
        assert errors.count("\n") == 1
        return errors

    folder = make_test(tmp_path, "mos", clips=1)
    assert "holds no test.json" in error("serve", tmp_path)
    assert "has no answers yet" in error("analyse", folder)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "cannot serve at 127.0.0.1" in error("serve", folder, "--port", port)
    assert "nobody has finished this test yet" in error("analyse", folder)
    next(folder.glob("*.flac")).unlink()
    assert "is missing: copy the whole test folder" in error("serve", folder)


def test_without_the_extra_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['pyloudnorm'] = sys.modules['uvicorn'] = None\n"
    code += "import runpy; sys.argv = ['audiodec', *sys.argv[1:]]\n"
    code += "runpy.run_module('audiodec', run_name='__main__')"
    for arguments in (["create", "x", "--method", "mos"], ["serve", "x"]):
        result = subprocess.run(
            [sys.executable, "-c", code, "listen", *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 1
        assert "pip install '.[bench]'" in result.stderr
