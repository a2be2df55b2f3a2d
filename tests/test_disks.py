"""Disks that are full or read-only, for real: mounts of this test's own, where that is allowed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import yaml

from audiodec.config import to_data
from tests.conftest import SMALL, SPEECH
from tests.ending_tools import is_one_line

PRIVATE = "mount --make-rprivate / && "


def mounted(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a shell script whose mounts nobody else sees; skips where that is not allowed."""
    try:
        allowed = subprocess.run(["unshare", "-m", "sh", "-c", PRIVATE + "true"], check=False)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if allowed.returncode:
        pytest.skip("mounting is not allowed here")
    words = ["unshare", "-m", "sh", "-ec", PRIVATE + script, "sh", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.optional
def test_a_read_only_system_without_temporary_folders(small_folder: Path, tmp_path: Path) -> None:
    if Path(sys.prefix).is_relative_to("/tmp"):
        pytest.skip("this checkout is in /tmp, which the test hides")
    (tmp_path / "model").mkdir()
    for path in small_folder.iterdir():
        (tmp_path / "model" / path.name).write_bytes(path.read_bytes())
    script = """
        mount --bind "$2" /mnt
        mount -o remount,ro,bind /
        mount -t tmpfs -o ro tmpfs /tmp
        mount -t tmpfs -o ro tmpfs /var/tmp
        cd /mnt
        ! touch /root/x /tmp/x 2> /dev/null
        "$1" -m audiodec encode "$3" a.adc --model model
        "$1" -m audiodec decode a.adc a.wav --model model
    """
    result = mounted(script, sys.executable, tmp_path, SPEECH)
    assert result.returncode == 0, result.stderr
    assert soundfile.info(tmp_path / "a.wav").frames == soundfile.info(SPEECH).frames


@pytest.mark.slow
@pytest.mark.optional
@pytest.mark.parametrize("room", ["4k", "100k"])  # not even for a first curve; not for a checkpoint
def test_training_on_a_full_disk_ends_in_one_line(room: str, tmp_path: Path) -> None:
    (tmp_path / "speech").mkdir()
    (tmp_path / "speech" / "clip.flac").write_bytes(SPEECH.read_bytes())
    (tmp_path / "recipe.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "full",
                "codec": to_data(SMALL),
                "data": {
                    "crop": 0.2, "batch": 4,
                    "sources": [{"path": str(tmp_path / "speech"), "bandwidth": 20000}],
                },
                "stages": [{"name": "metric", "steps": 8}],
                "quantization": {"start": 0.25, "start_latents": 600},
            }
        )
    )  # fmt: skip
    script = """
        mount -t tmpfs -o size="$3" tmpfs /mnt
        "$1" -m audiodec train "$2/recipe.yaml" --out /mnt/run --accelerator cpu
    """
    result = mounted(script, sys.executable, tmp_path, room)
    assert result.returncode == 1
    assert is_one_line(result.stderr.splitlines(keepends=True)[-1])
    assert "Traceback" not in result.stderr
    assert "cannot be written" in result.stderr
