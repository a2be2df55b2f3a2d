"""The first second of a call: nothing is said to nobody, and what is not heard is counted."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiodec.call.network import gilbert
from tests.call_tools import PERIOD, SIZE
from tests.test_call_processes import finish, free_ports, start_call
from tests.two_ends import SECRET, A, B, Call, check_counts, endpoint


@pytest.mark.parametrize("secret", [None, SECRET])
@pytest.mark.parametrize("starts", [(0.0, 0.003), (0.0, 0.19), (0.05, 0.0), (0.0, 7.3)])
def test_nothing_is_lost_where_the_network_loses_nothing(
    secret: bytes | None, starts: tuple[float, float]
) -> None:
    call = Call((endpoint(secret), endpoint(secret)), (150, 150), starts)
    summaries = call.finish()
    for summary in summaries:
        assert (summary["sent"], summary["received"]) == (150, 150)
        assert (summary["lost"], summary["lost_on_the_way_there"], summary["refused"]) == (0, 0, 0)
    assert call.early == [0, 0]
    assert None not in call.connected_at
    connected = [at - max(starts) for at in call.connected_at if at is not None]
    assert max(connected) < 0.3  # answers do not wait for the next hello


@pytest.mark.parametrize("packets", [(0, 150), (150, 0), (0, 0), (0, None), (1, 1)])
@pytest.mark.parametrize("delay", [0.0, 1.0])
@pytest.mark.parametrize("dtx", [False, True])
def test_who_says_nothing_is_no_trouble(
    packets: tuple[int | None, int | None], delay: float, dtx: bool
) -> None:
    ends = endpoint(SECRET, dtx), endpoint(SECRET, dtx)
    call = Call(ends, packets, delay=delay)
    if packets[1] is None:
        call.run(5)
        call.hang_up(A)
    summaries = call.finish()
    check_counts(call, summaries)
    assert not any(end.gone for end in ends)
    assert call.early == [0, 0]


@pytest.mark.parametrize("first", [0, 32_767, 32_760])
def test_the_first_number_never_rolls_over_before_it_is_heard(first: int) -> None:
    """Ten packets are lost at the start, then the wrap at 65536 comes in mid-call."""
    ends = endpoint(SECRET, first=first), endpoint(SECRET, first=first)
    call = Call(ends, (400, 400), delay=0.02)
    call.filters = [lambda what, n: what == "speech" and n < 10] * 2
    for summary in call.finish():
        assert (summary["received"], summary["lost"], summary["refused"]) == (390, 10, 0)
        assert summary["lost_on_the_way_there"] == 10


def test_first_numbers_are_in_the_lower_half() -> None:
    """RFC 3711, section 3.3.1: else a loss at the first wrap leaves the two ends apart."""
    numbers = [endpoint()._sender.first for _ in range(300)]
    assert max(numbers) < 1 << 15
    assert len(set(numbers)) > 250


@pytest.mark.parametrize("seconds", [0.1, 0.9, 3.0])
def test_a_first_second_that_is_lost_is_counted_and_asks_for_redundancy(seconds: float) -> None:
    count = round(seconds / PERIOD)
    ends = endpoint(SECRET), endpoint(SECRET)
    call = Call(ends, (400, 400), delay=0.05)
    call.filters[A] = lambda what, n: what == "speech" and n < count
    one, two = call.finish()
    assert (two["received"], two["lost"], one["lost_on_the_way_there"]) == (
        400 - count,
        count,
        count,
    )
    assert (one["received"], one["lost"]) == (400, 0)
    check_counts(call, [one, two])


def test_one_direction_without_speech_is_counted_and_ends_in_order() -> None:
    """Its reports come through: all that was sent is known, and known to be lost."""
    call = Call((endpoint(SECRET), endpoint(SECRET)), (300, 300), delay=0.05)
    call.filters[A] = lambda what, n: what == "speech"
    one, two = call.finish()
    assert (two["received"], two["lost"]) == (0, 300)
    assert (one["received"], one["lost"], one["lost_on_the_way_there"]) == (300, 0, 300)
    assert call.heard[B] > 290 * SIZE


def test_one_direction_that_is_dead_after_the_hellos_is_told() -> None:
    call = Call((endpoint(SECRET), endpoint(SECRET)), (1500, 1500), delay=0.05)
    call.filters[A] = lambda what, n: what != "hello"
    one, two = call.finish()
    assert call.ends[B].gone
    assert call.ends[A].hung_up  # so it does not speak on to nobody
    assert two["received"] == 0
    assert one["received"] + one["lost"] == two["sent"] < 600
    assert one["lost_on_the_way_there"] == one["sent"]


def test_one_direction_that_is_dead_from_the_start_is_no_call_and_both_know_why() -> None:
    call = Call((endpoint(SECRET), endpoint(SECRET)), (150, 150))
    call.filters[A] = lambda what, n: True
    call.run(5)
    assert [end.connected for end in call.ends] == [False, False]
    assert (call.ends[A].called, call.ends[B].called) == (True, False)
    assert [end.summary(5)["sent"] for end in call.ends] == [0, 0]


@pytest.mark.parametrize("lost", itertools.product(range(3), repeat=4))
def test_any_lost_hellos_are_repeated(lost: tuple[int, ...]) -> None:
    """Of each end any of the first hellos is lost, and nothing else."""
    call = Call((endpoint(SECRET), endpoint(SECRET)), (50, 50), delay=0.03)
    call.filters = [
        lambda what, n, end=end: what == "hello" and n in (lost[end], lost[end + 2] + 1)
        for end in range(2)
    ]
    for summary in call.finish():
        assert (summary["received"], summary["lost"], summary["refused"]) == (50, 0, 0)
    assert call.early == [0, 0]


def test_who_hangs_up_is_believed_at_once_and_its_last_word_counts() -> None:
    ends = endpoint(SECRET), endpoint(SECRET)
    call = Call(ends, (3000, 3000), delay=0.1).run(4)
    call.hang_up(A)
    one, two = call.finish()
    assert call.done[B] is not None
    assert call.done[B] < 5
    assert ends[B].hung_up
    assert not ends[B].gone
    assert two["received"] + two["lost"] == one["sent"]
    assert two["lost_on_the_way_there"] == two["sent"] - one["received"] > 0


def test_a_call_given_up_while_the_other_end_connects_ends_there_too() -> None:
    """A is told to end after it has agreed, before it knows that it is heard."""
    ends = endpoint(SECRET), endpoint(SECRET)
    call = Call(ends, (500, 500), delay=0.05)
    call.filters[B] = lambda what, n: what != "hello" or n > 1
    while ends[A].hang_up(call.clock.now) == []:
        call.run(call.clock.now + 0.01)
    assert not ends[A].connected
    call.hang_up(A)
    call.finish(limit=5)
    assert ends[B].hung_up


@pytest.mark.parametrize("secret", [None, SECRET])
def test_a_second_call_at_once_is_no_part_of_the_first(secret: bytes | None) -> None:
    """The last datagrams of the first call, and old hellos, reach the second one."""
    first = Call((endpoint(secret), endpoint(secret)), (100, 100), delay=0.05)
    first.finish()
    old = first.sent[:10] + first.sent[-200:]
    second = Call((endpoint(secret), endpoint(secret)), (100, 100), delay=0.05)

    def repeat() -> None:
        for end in second.ends:
            end.receive(old[0], second.clock.now)
        old.pop(0)

    for n in range(len(old)):
        second.clock.at(0.01 * n, repeat)
    for summary in second.finish():
        assert (summary["received"], summary["lost"]) == (100, 0)


def test_who_calls_again_at_once_is_answered() -> None:
    """A goes away when B has agreed and nothing was said; another A calls with another nonce."""
    ends = endpoint(SECRET), endpoint(SECRET)
    call = Call(ends, (100, 100))
    call.filters[A] = lambda what, n: n > 1
    while not ends[B].hang_up(call.clock.now):
        call.run(call.clock.now + PERIOD)
    assert not ends[B].connected
    call.ends = endpoint(SECRET), ends[B]
    call.filters[A] = lambda what, n: False
    for summary in call.finish():
        assert (summary["received"], summary["lost"]) == (100, 0)


@pytest.mark.parametrize("options", [(), ("--dtx",)])
@pytest.mark.parametrize("seconds", [(3.0, 3.0), (0.0, 2.0), (0.0, 0.0)])
def test_processes_agree_on_what_was_heard(
    seconds: tuple[float, float], options: tuple[str, ...], tmp_path: Path
) -> None:
    ports, noise = free_ports(2), np.random.default_rng(0).normal(0, 0.1, 48_000 * 3)
    ends = []
    for n in range(2):
        soundfile.write(tmp_path / f"{n}.wav", noise[: round(seconds[n] * 48_000)], 48_000)
        files = ("--input", tmp_path / f"{n}.wav", "--output", tmp_path / f"heard-{n}.wav")
        ends.append(start_call(ports[n], ports[1 - n], "--json", "--wait", 600, *files, *options))
    summaries = finish(*ends)
    for n, (own, other) in enumerate(itertools.permutations(summaries)):
        assert own["received"] + own["lost"] == other["sent"]
        assert other["lost_on_the_way_there"] == other["sent"] - own["received"]
        assert own["sent"] + own["skipped"] >= seconds[n] / PERIOD or options
        assert (seconds[n] > 0) == (own["sent"] > 0)
        assert soundfile.info(tmp_path / f"heard-{n}.wav").frames > 0


# Anything at once, in simulated time

SEEDS = int(os.environ.get("AUDIODEC_FUZZ", "2000"))


def outages(source: random.Random) -> Iterator[bool]:
    """Random losses, and from time to time nothing comes through at all."""
    losses = gilbert(
        source.choice((0, 0, 0.02, 0.2, 0.6)), source.choice((1.5, 3, 20)), source.randrange(99)
    )
    dead = source.choice((0, 0, 0, 5, 50, 400))
    start = source.randrange(60)
    for n, lost in enumerate(losses):
        yield lost or start <= n < start + dead


def anything(seed: int) -> tuple[Call, list[dict[str, int]]]:
    source = random.Random(seed)
    secret = source.choice((None, SECRET))
    ends = [
        endpoint(secret, source.random() < 0.3, source.choice((None, 0, 32_767, 32_760, 9)))
        for _ in range(2)
    ]
    lengths = tuple(source.choice((0, 0, 1, 2, 30, 60, 200, 700)) for _ in range(2))
    later = source.choice((0.0, 0.003, 0.19, 0.2, 1.7, source.uniform(0, 3)))
    call = Call(
        (ends[0], ends[1]), (lengths[0], lengths[1]),
        (0.0, later) if source.random() < 0.5 else (later, 0.0),
        delay=source.choice((0.0, 0.03, 0.3, 1.0)), jitter=source.choice((0, 0, 0.02, 0.15)),
        duplicated=source.choice((0, 0, 0.1)), reordered=source.choice((0, 0, 0.1)),
    )  # fmt: skip
    for link in call._links:
        link._lost = outages(source)
    held = [source.choice((0, 0, 1, 3, 8)) for _ in range(2)]
    chance = source.choice((0, 0.3, 0.6))
    call.filters = [
        lambda what, n, end=end: what == "hello" and (n < held[end] or source.random() < chance)
        for end in range(2)
    ]
    if source.random() < 0.3:
        give_up, who = source.uniform(0, 8), source.randrange(2)
        call.clock.at(give_up, lambda: call.done[who] is None and call.hang_up(who))
    elif source.random() < 0.1:
        who = source.randrange(2)
        call.clock.at(source.uniform(0, 8), lambda: call.done.__setitem__(who, call.clock.now))
    # An end that waits for an answer gives up after a while, as with `--wait`.
    for n, end in enumerate(ends):
        call.clock.at(
            30.0, lambda n=n, end=end: None if end.connected or call.done[n] else call.hang_up(n)
        )
    return call, call.finish()


def check_anything(seeds: range) -> None:
    for seed in seeds:
        try:
            call, summaries = anything(seed)
            check_counts(call, summaries)
            assert call.early == [0, 0]
            for n, summary in enumerate(summaries):
                if call.connected_at[n] is None:
                    assert summary["sent"] == 0
                else:
                    assert call.heard[n] > 0
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error


def test_any_network_and_any_start() -> None:
    check_anything(range(25))


@pytest.mark.slow
def test_any_network_and_any_start_at_length() -> None:
    """AUDIODEC_FUZZ=100000 takes hours."""
    check_anything(range(25, 25 + SEEDS))
