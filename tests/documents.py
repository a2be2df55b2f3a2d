"""The code blocks of README.md and docs/, and how to run those of a page.

A page is one scenario: its blocks run from top to bottom in one folder, Python in one namespace. A
comment on the line before a block may say something about it, and is invisible on the page:

    <!-- run: slow -->            only with the slow tests
    <!-- run: background URL -->  a shell block that is started and ended with the page (a server);
                                  it is ready when the address answers
    <!-- run: file my.yaml -->    written to this file, for the blocks after it
    <!-- run: skip installs -->   not run, for one of REASONS
"""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import textwrap
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]
NO_CODE = {"text", "mermaid", "hex"}  # hex: tests/test_bitstream.py decodes it
REASONS = {
    "installs": "changes the environment",
    "make": "`.ci/run` runs it by itself",
    "microphone": "needs sound devices and somebody who speaks",
    "containers": "needs Docker or Kubernetes",
    "cluster": "needs a cluster of machines",
    "corpus": "needs hours of recordings or hours of time",
    "excerpt": "shows a part of something",
}
READY_SECONDS = 60
WAIT_FOR_ALL = 'for job in $(jobs -p); do wait "$job"; done'  # fails when one of them fails
FENCE = re.compile(
    r"(?:^[ ]*<!-- run: (?P<directive>[^\n]*?) -->\n+)?"
    r"^(?P<indent>[ ]*)```(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=indent)```[ ]*$",
    re.M | re.S,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its line in the page, its language, and what a comment says about it."""

    page: str
    line: int
    language: str
    text: str
    directive: str = ""

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def read_blocks(page: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    content = (ROOT / page).read_text()
    return [
        Block(
            page,
            content.count("\n", 0, match.start("language")) + 1,
            match["language"].strip(),
            textwrap.dedent(match["text"]),
            match["directive"] or "",
        )
        for match in FENCE.finditer(content)
    ]


class Scenario:
    """Runs the blocks of one page in one folder.

    Args:
        shorter: what to replace in blocks before they run, so that they take seconds.
        first: what a person would do before a block that holds a text, e.g. answer questions.
    """

    def __init__(
        self, folder: Path, shorter: Mapping[str, str], first: Mapping[str, Callable[[Path], None]]
    ) -> None:
        self.folder, self.shorter, self.first = folder, shorter, first
        self.names: dict[str, Any] = {}
        self.background: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
        }

    def run(self, blocks: Sequence[Block]) -> None:
        """Raises AssertionError with the place of the first block that fails."""
        try:
            for block in blocks:
                self._run(block, self._shortened(block.text))
        finally:
            for process in self.background:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()

    def _shortened(self, text: str) -> str:
        for old, new in self.shorter.items():
            text = text.replace(old, new)
        return text

    def _run(self, block: Block, text: str) -> None:
        kind, _, argument = block.directive.partition(" ")
        if kind == "skip" or block.language in NO_CODE:
            return
        for needed, act in self.first.items():
            if needed in block.text:
                act(self.folder)
        if kind == "file":
            (self.folder / argument).write_text(text)
        if kind == "background":
            self._start(block, text, argument)
        elif block.language in ("sh", "bash"):
            self._shell(block, text)
        elif block.language == "python" and kind != "file":
            self._python(block, text)
        elif block.language in PARSERS:
            PARSERS[block.language](text)

    def _python(self, block: Block, text: str) -> None:
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            exec(compile(text, block.where, "exec"), self.names)
        except Exception as error:
            raise AssertionError(f"{block.where}: {error!r}") from error
        finally:
            os.chdir(before)

    def _shell(self, block: Block, text: str) -> None:
        run = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{text}\n{WAIT_FOR_ALL}"],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.returncode == 0, f"{block.where}: {run.returncode}\n{run.stdout}\n{run.stderr}"

    def _start(self, block: Block, text: str, url: str) -> None:
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder, env=self.environment, start_new_session=True,
        )  # fmt: skip
        self.background.append(process)
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            assert process.poll() is None, f"{block.where}: ended with {process.returncode}"
            try:
                urllib.request.urlopen(url, timeout=1)
                return
            except (urllib.error.URLError, OSError) as error:
                if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
                    return  # it answers; only the page's own client knows its certificate
                time.sleep(0.1)
        raise AssertionError(f"{block.where}: not ready")


PARSERS = {"yaml": yaml.safe_load, "json": json.loads, "toml": tomllib.loads}
LANGUAGES = {"python", "sh", "bash", "js", *PARSERS, *NO_CODE}
