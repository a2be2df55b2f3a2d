"""Files from where they are published: public git repositories at a commit, Debian packages."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from pathlib import Path
from subprocess import DEVNULL, PIPE

HOSTS = {"github": "https://github.com/{}.git"}


def fetch(origin: str, pattern: str, mirror: Path, out: Path) -> list[Path]:
    """Write the files of an origin whose whole path matches, below `out`.

    Args:
        origin: `github:OWNER/NAME@COMMIT` or `debian:PACKAGE`.
        pattern: regular expression.
        mirror: folder of bare repositories, OWNER+NAME/repo; what is absent is fetched into it.
        out: an empty folder; a package leaves its other files there too.

    Raises:
        OSError: it cannot be had.
    """
    kind, _, place = origin.partition(":")
    wanted = re.compile(pattern)
    if kind == "debian":
        unpack(place, out)
        paths = sorted(path for path in out.rglob("*") if path.is_file())
        return [path for path in paths if wanted.fullmatch(path.relative_to(out).as_posix())]
    repository, _, commit = place.partition("@")
    git_dir = clone(HOSTS[kind].format(repository), commit, mirror / repository.replace("/", "+"))
    return extract(git_dir, commit, wanted, out)


def run(*command: str | Path, cwd: Path | None = None) -> None:
    """Run a program. Raises OSError when it is not there or fails."""
    status = subprocess.run(command, cwd=cwd, check=False).returncode
    if status:
        raise OSError(f"`{' '.join(map(str, command))}` failed with exit status {status}")


def unpack(package: str, folder: Path) -> None:
    """Download a Debian package and unpack it below `folder`; nothing is installed."""
    run("apt-get", "download", "-q", package, cwd=folder)
    (archive,) = folder.glob("*.deb")
    run("dpkg", "-x", archive, folder)
    archive.unlink()


def clone(url: str, commit: str, folder: Path) -> Path:
    """The git directory of a repository that holds `commit`, fetched (one commit) if it is not in
    `folder` yet."""
    git_dir = folder / "repo"
    if (git_dir / ".git").is_dir():
        git_dir = git_dir / ".git"
    if not (git_dir / "objects").is_dir():
        run("git", "init", "-q", "--bare", git_dir)
    git = ["git", "--git-dir", git_dir]
    known = subprocess.run([*git, "cat-file", "-e", f"{commit}^{{tree}}"], stderr=DEVNULL)
    if known.returncode:
        run(*git, "fetch", "--depth=1", "--progress", url, commit)
    return git_dir


def extract(git_dir: Path, commit: str, pattern: re.Pattern[str], out: Path) -> list[Path]:
    """Write the files of a commit that match, except those that a stored copy lacks."""
    git = ["git", "--git-dir", str(git_dir)]
    tree = subprocess.run([*git, "ls-tree", "-rz", commit], check=True, stdout=PIPE)
    entries = [entry.split("\t", 1) for entry in tree.stdout.decode().split("\0") if entry]
    entries = [(a.split(), p) for a, p in entries if a.startswith("100")]  # no symbolic links
    wanted = [(blob, path) for (_, _, blob), path in entries if pattern.fullmatch(path)]
    paths = []
    with tempfile.TemporaryFile() as blobs:
        blobs.write("".join(f"{blob}\n" for blob, _ in wanted).encode())
        blobs.seek(0)
        cat = subprocess.Popen([*git, "cat-file", "--batch", "--buffer"], stdin=blobs, stdout=PIPE)
        with cat, cat.stdout as contents:
            for _, path in wanted:
                *_, size = contents.readline().split()
                if size == b"missing":
                    continue
                target = out / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(contents.read(int(size)))
                contents.read(1)
                paths.append(target)
    return paths


def fingerprint(paths: list[Path]) -> str:
    """SHA-256 over the sorted SHA-256 of files: the same for the same contents, whatever their
    names and order."""
    digests = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
