"""Answers in SQLite, stored as they are given: what is committed survives any crash."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from audiodec.errors import ConfigError
from audiodec.evaluation.listening.definition import Test
from audiodec.evaluation.listening.design import Trial, plan

FILE = "answers.sqlite"
MAX_LISTENERS = 10_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS test (digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS listener (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, token TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS rating (
    listener INTEGER NOT NULL REFERENCES listener, trial INTEGER NOT NULL, slot INTEGER NOT NULL,
    given INTEGER NOT NULL, practice INTEGER NOT NULL, clip TEXT NOT NULL, system TEXT NOT NULL,
    other TEXT NOT NULL, score REAL NOT NULL, PRIMARY KEY (listener, trial, slot));
CREATE TABLE IF NOT EXISTS done (
    listener INTEGER NOT NULL REFERENCES listener, trial INTEGER NOT NULL,
    PRIMARY KEY (listener, trial));
"""


@dataclass(frozen=True)
class Rating:
    """One answer of one listener.

    Attributes:
        system: what was rated; in ABX the system that was to be told from `other`.
        score: 0 to 100 (MUSHRA), 1 to 5 (MOS), 1 right or 0 wrong (ABX).
    """

    listener: str
    clip: str
    system: str
    score: float
    other: str = ""


@dataclass(frozen=True)
class Progress:
    """Where a listener is: `number` is the trial to do, None when all are done."""

    trials: list[Trial]
    number: int | None
    scores: dict[int, int]  # given so far in that trial, by slot


class Answers:
    """The answers to a test, in its folder. One connection per call: safe from any thread.

    Raises:
        ConfigError: the folder holds answers to another test.
    """

    def __init__(self, test: Test, folder: Path) -> None:
        self.test, self.path = test, folder / FILE
        try:
            with self._open() as database:
                database.executescript(SCHEMA)
                database.execute(
                    "INSERT INTO test SELECT ? WHERE NOT EXISTS (SELECT * FROM test)",
                    (test.digest,),
                )
                (digest,) = database.execute("SELECT digest FROM test").fetchone()
        except sqlite3.Error as error:
            raise ConfigError(f"{self.path} cannot be used: {error}") from None
        if digest != test.digest:
            raise ConfigError(f"{self.path} answers another version of this test: move it away")

    def register(self, name: str) -> str:
        """Give the token of a listener; who comes again under the same name goes on."""
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            (count,) = database.execute("SELECT count(*) FROM listener").fetchone()
            if count < MAX_LISTENERS:
                database.execute(
                    "INSERT INTO listener SELECT ?, ?, ? WHERE NOT EXISTS "
                    "(SELECT * FROM listener WHERE name = ?)",
                    (count, name, secrets.token_urlsafe(12), name),
                )
            row = database.execute("SELECT token FROM listener WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise ConfigError(f"this test is full: {MAX_LISTENERS} listeners")
        return str(row[0])

    def progress(self, token: str) -> Progress | None:
        """Tell how far a listener is; None when nobody has that token."""
        with self._open() as database:
            row = database.execute(
                "SELECT number FROM listener WHERE token = ?", (token,)
            ).fetchone()
            return self._progress(database, row[0]) if row else None

    def store(self, token: str, number: int, scores: Mapping[int, int], done: bool) -> Progress:
        """Keep the scores of a trial; with `done` they are final.

        What comes again, or for another trial than the listener's next, changes nothing.

        Raises:
            ConfigError: the trial is not complete, or no such listener or score.
        """
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            row = database.execute(
                "SELECT number FROM listener WHERE token = ?", (token,)
            ).fetchone()
            if row is None:
                raise ConfigError("no such listener")
            listener = row[0]
            now = self._progress(database, listener)
            if number != now.number:
                return now
            trial = now.trials[number]
            slots = answer_slots(self.test, trial)
            low, high = score_range(self.test)
            if not all(slot in slots and low <= score <= high for slot, score in scores.items()):
                raise ConfigError("no such stimulus or score")
            if done and slots - scores.keys() - now.scores.keys():
                raise ConfigError("rate every stimulus first")
            database.executemany(
                "INSERT OR REPLACE INTO rating VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (listener, number, slot, score, *_meaning(trial, slot, score))
                    for slot, score in scores.items()
                ],
            )
            if done:
                database.execute("INSERT INTO done VALUES (?, ?)", (listener, number))
            return self._progress(database, listener)

    def ratings(self) -> tuple[list[Rating], list[str]]:
        """Read the ratings of finished trials, and the listeners who have not finished the test."""
        with self._open() as database:
            found = database.execute(
                "SELECT name, clip, system, score, other FROM rating NATURAL JOIN done "
                "JOIN listener ON number = listener WHERE NOT practice "
                "ORDER BY listener, trial, slot"
            ).fetchall()
            listeners = database.execute("SELECT number, name FROM listener ORDER BY number")
            unfinished = [
                name
                for number, name in listeners.fetchall()
                if self._progress(database, number).number is not None
            ]
        return [Rating(*row) for row in found], unfinished

    def _progress(self, database: sqlite3.Connection, listener: int) -> Progress:
        trials = plan(self.test, listener)
        rows = database.execute("SELECT trial FROM done WHERE listener = ?", (listener,))
        done = {trial for (trial,) in rows}
        number = next((n for n in range(len(trials)) if n not in done), None)
        scores = database.execute(
            "SELECT slot, given FROM rating WHERE listener = ? AND trial = ?", (listener, number)
        )
        return Progress(trials, number, dict(scores.fetchall()))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=10)) as database, database:
            yield database


def answer_slots(test: Test, trial: Trial) -> set[int]:
    """List the stimuli of a trial that take a score: in MUSHRA all but the open reference, in ABX
    X."""
    count = len(trial.stimuli)
    return {"mushra": set(range(count - 1)), "mos": {0}, "abx": {2}}[test.method]


def score_range(test: Test) -> tuple[int, int]:
    """Give lowest and highest score. In ABX a score is the slot that X is said to be: A 0, B 1."""
    return {"mushra": (0, 100), "mos": (1, 5), "abx": (0, 1)}[test.method]


def _meaning(trial: Trial, slot: int, given: int) -> tuple[bool, str, str, str, float]:
    """Write what an answer says, without the plan: practice, clip, system, other, score."""
    if trial.pair:
        right = trial.stimuli[given] == trial.stimuli[2]
        return (trial.practice, trial.clip.name, *trial.pair, float(right))
    return trial.practice, trial.clip.name, trial.stimuli[slot], "", float(given)
