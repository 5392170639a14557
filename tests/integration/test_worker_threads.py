"""Handlers in threads: together, one at a time, beyond their timeouts, and when the process stops or dies."""

import asyncio
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import redis
from rq.results import Result

from ackfirst import Event, on
from ackfirst.shared.queue import keys
from ackfirst.workers.engine.deadline_board import WEDGE_GRACE_SECONDS
from ackfirst.workers.engine.event_job import EventJob
from tests.support.factories import make_envelope
from tests.support.handlers import calls, write_handlers
from tests.support.jobs import burst, enqueue, lane_is_empty, status, statuses
from tests.support.processes import Cli
from tests.support.waiting import wait_until


def pool(folder: Path, url: str, *args: str, **settings: str) -> Cli:
    env = {"ACKFIRST_REDIS_URL": url, "ACKFIRST_HANDLERS": "my_handlers", "ACKFIRST_RETRY_SCHEDULE": "0s,0s"}
    env.update({f"ACKFIRST_{key.upper()}": value for key, value in settings.items()})
    return Cli("worker", *args, cwd=folder, env=env, name="pool")


def error_of(client: redis.Redis, job_id: str) -> str:
    latest = Result.fetch_latest(EventJob(job_id, connection=client, serializer="json"))
    assert latest is not None
    return str(latest.exc_string)


class Together:
    """How many calls are inside at once, at the most."""

    def __init__(self) -> None:
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._now -= 1


@pytest.mark.parametrize("threads", [1, 3, 8])
def test_as_many_plain_handlers_run_at_once_as_there_are_threads(
    redis_sync: redis.Redis, redis_url: str, threads: int
) -> None:
    together = Together()

    @on()
    def wait(event: Event) -> None:
        with together:
            time.sleep(0.1)

    enqueue(redis_sync, *[make_envelope() for _ in range(40)])
    assert burst(redis_url, wait, threads=str(threads)) == 40
    assert together.most == threads


def test_neither_plain_nor_async_handlers_stand_still_while_the_others_run(
    redis_sync: redis.Redis, redis_url: str
) -> None:
    plain, asynchronous = [make_envelope(lane="plain", application_id="plain") for _ in range(8)], []
    ended: list[str] = []
    release = threading.Event()

    @on(application="plain")
    def hold(event: Event) -> None:
        assert release.wait(20)
        ended.append("plain")

    @on(application="async")
    async def quick(event: Event) -> None:
        await asyncio.sleep(0.001)
        ended.append("async")
        if len(ended) == 20:
            release.set()

    asynchronous = [make_envelope(lane="async", application_id="async") for _ in range(20)]
    enqueue(redis_sync, *plain, *asynchronous)
    burst(redis_url, hold, quick, threads="2")
    assert ended == ["async"] * 20 + ["plain"] * 8, "all threads were held while async handlers ran"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_serial_handler_never_overlaps_itself_and_holds_up_no_other(
    redis_sync: redis.Redis, redis_url: str, is_async: bool
) -> None:
    alone, others = Together(), Together()

    def one(event: Event) -> None:
        with alone:
            time.sleep(0.01)

    async def one_async(event: Event) -> None:
        with alone:
            await asyncio.sleep(0.01)

    @on(application="other")
    def many(event: Event) -> None:
        with others:
            time.sleep(0.01)

    serial = on(application="serial", serial=True)(one_async if is_async else one)
    envelopes = [make_envelope(lane=name, application_id=name) for _ in range(20) for name in ("serial", "other")]
    enqueue(redis_sync, *envelopes)
    burst(redis_url, serial, many)
    assert statuses(redis_sync, envelopes) == {"finished"}
    assert alone.most == 1
    assert others.most > 1


def test_what_waits_for_a_serial_handler_goes_to_other_engines(redis_sync: redis.Redis, redis_url: str) -> None:
    envelopes = [make_envelope() for _ in range(3)]
    seen: list[set[str | None]] = []

    @on(serial=True)
    def slow(event: Event) -> None:
        if not seen:
            others = [one for one in envelopes if one.id != event.id]
            wait_until(lambda: statuses(redis_sync, others) == {"queued"})
            seen.append(statuses(redis_sync, others))

    enqueue(redis_sync, *envelopes)
    burst(redis_url, slow)
    assert seen == [{"queued"}]
    assert statuses(redis_sync, envelopes) == {"finished"}


def test_a_timeout_strikes_the_late_handler_and_never_the_next_one(redis_sync: redis.Redis, redis_url: str) -> None:
    late = {one.id: one for one in (make_envelope() for _ in range(20))}
    quick = [make_envelope() for _ in range(300)]

    @on(timeout=0.3, retries=0)
    def work(event: Event) -> None:
        end = time.monotonic() + (0.3 if event.id in late else 0.0)
        while time.monotonic() < end:  # ends in the very moment of its deadline
            pass

    mixed = [one for pair in zip(late.values(), *[iter(quick)] * 15, strict=False) for one in pair]
    enqueue(redis_sync, *mixed)
    burst(redis_url, work)
    assert statuses(redis_sync, quick) == {"finished"}
    assert statuses(redis_sync, list(late.values())) <= {"finished", "failed"}


def test_recursion_without_end_is_the_handlers_failure(redis_sync: redis.Redis, redis_url: str) -> None:
    def deeper() -> None:
        deeper()

    @on(retries=0)
    def dive(event: Event) -> None:
        deeper()

    envelopes = [make_envelope() for _ in range(10)]
    enqueue(redis_sync, *envelopes)
    burst(redis_url, dive)
    assert statuses(redis_sync, envelopes) == {"failed"}
    assert "RecursionError" in error_of(redis_sync, envelopes[0].id)


def test_a_serial_handler_still_runs_after_an_event_for_it_was_given_back_unbegun(
    redis_sync: redis.Redis, redis_url: str
) -> None:
    """The event waits for the only thread, as the next of its handler, and goes back to its lane meanwhile."""
    ran: list[str] = []

    @on(application="slow")
    def slow(event: Event) -> None:
        time.sleep(0.5)

    @on(application="serial", serial=True)
    def one(event: Event) -> None:
        ran.append(event.id)

    behind = [make_envelope(lane="one", application_id="serial") for _ in range(3)]
    enqueue(redis_sync, make_envelope(lane="one", application_id="slow"), *behind)
    assert burst(redis_url, slow, one, threads="1") == 4
    assert Counter(ran) == {envelope.id: 1 for envelope in behind}


def test_a_handler_that_ignores_its_timeout_costs_its_process_and_after_three_it_is_a_dead_letter(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    write_handlers(
        tmp_path,
        """
        @on(application="stuck", timeout=1)
        def stuck(event):
            note("stuck", os.getpid())
            time.sleep(120)  # one call into C: no exception reaches it

        @on(application="good")
        def good(event):
            note(event.id)
            time.sleep(0.05)
        """,
    )
    stuck = make_envelope(lane="one", application_id="stuck")
    good = [make_envelope(lane=lane, application_id="good") for lane in ("one", "two") for _ in range(30)]
    enqueue(redis_sync, stuck, *good)
    with pool(tmp_path, redis_url) as running:
        wait_until(lambda: statuses(redis_sync, good) == {"finished"}, timeout=30)
        wait_until(lambda: status(redis_sync, stuck.id) == "failed", timeout=60)
        assert "handler.wedged" in running.output
    said = error_of(redis_sync, stuck.id)
    assert said.startswith("WorkerKilled: 3 workers in a row")
    assert "ignored its timeout" in said
    assert len({one for one in calls(redis_sync) if one.startswith("stuck")}) == 3
    ran = Counter(one for one in calls(redis_sync) if not one.startswith("stuck"))
    assert ran == {one.id: 1 for one in good}, "no other event was charged or repeated"


def test_a_process_with_a_wedged_handler_is_replaced_although_another_handler_may_take_minutes(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    write_handlers(
        tmp_path,
        """
        @on(application="stuck", timeout=0.2)
        def stuck(event):
            note("stuck")
            time.sleep(120)

        @on(application="slow", timeout=150)
        def slow(event):
            note("slow")
            if notes.lrange("test:calls", 0, -1).count(b"slow") == 1:
                time.sleep(120)

        @on(application="good")
        def good(event):
            note("good")
        """,
    )
    slow = make_envelope(lane="two", application_id="slow")
    good = make_envelope(lane="three", application_id="good")
    enqueue(redis_sync, make_envelope(lane="one", application_id="stuck"), slow)
    with pool(tmp_path, redis_url, stop_grace="6s") as running:
        running.wait_for_output("handler.wedged")
        enqueue(redis_sync, good)
        wait_until(lambda: statuses(redis_sync, [slow, good]) == {"finished"}, timeout=30)
    assert redis_sync.hget(keys.job(slow.id), keys.KILLS) in (None, b"0"), "the slow one is not charged"


def test_a_handler_that_holds_the_interpreter_is_ended_by_the_supervisor(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    write_handlers(
        tmp_path,
        """
        import ctypes

        @on(application="bomb", timeout=0.5)
        def bomb(event):
            note("bomb")
            ctypes.PyDLL(None).sleep(600)  # never lets go of the interpreter

        @on(application="good")
        def good(event):
            note(event.id)
        """,
    )
    bomb = make_envelope(lane="one", application_id="bomb")
    good = [make_envelope(lane="two", application_id="good") for _ in range(10)]
    with pool(tmp_path, redis_url) as running:
        enqueue(redis_sync, bomb)
        wait_until(lambda: calls(redis_sync) == ["bomb"], timeout=30)
        enqueue(redis_sync, *good)
        wait_until(lambda: statuses(redis_sync, good) == {"finished"}, timeout=90)
        assert "engine.wedged" in running.output
        wait_until(lambda: status(redis_sync, bomb.id) == "failed", timeout=60)
    assert error_of(redis_sync, bomb.id).startswith("WorkerKilled: 3 workers in a row")


@pytest.mark.parametrize(
    "hang",
    [
        pytest.param('re.match(r"(a+)+$", "a" * 64 + "!")', id="with the interpreter's lock"),
        pytest.param(
            "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32)); time.sleep(60)", id="with blocked signals"
        ),
    ],
)
def test_events_beside_a_handler_that_hangs_in_c_do_not_wait_for_its_end(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path, hang: str
) -> None:
    write_handlers(
        tmp_path,
        f"""
        import re, signal

        @on(application="hang", timeout=0.2)
        def hangs(event):
            note("hang")
            {hang}

        @on(application="good")
        def good(event):
            note(f"{{event.id}} {{time.monotonic()}}")
        """,
    )
    queued: dict[str, float] = {}
    with pool(tmp_path, redis_url, "--processes", "2") as running:
        wait_until(lambda: running.output.count("worker.started") == 2, timeout=60)
        enqueue(redis_sync, make_envelope(lane="one", application_id="hang"))
        wait_until(lambda: calls(redis_sync), timeout=30)
        ended = time.monotonic() + WEDGE_GRACE_SECONDS  # until then, the engine that hangs is not even suspected
        while time.monotonic() < ended:
            one = make_envelope(lane="two", application_id="good")
            queued[one.id] = time.monotonic()
            enqueue(redis_sync, one)
            time.sleep(0.05)
        wait_until(lambda: len({*calls(redis_sync)} - {"hang"}) == len(queued), timeout=60)
    begun = dict(call.split(" ") for call in calls(redis_sync) if call != "hang")
    waits = sorted(float(begun[one]) - at for one, at in queued.items())
    p99 = waits[int(0.99 * len(waits))]
    print(f"beside a hang: p50 {waits[len(waits) // 2] * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms of {len(waits)}")  # noqa: T201 - the figure that counts
    assert p99 < WEDGE_GRACE_SECONDS / 2, "who waits for the end of the hang waits all of it"


def test_the_grace_of_a_stop_is_one_for_the_whole_pool_and_what_still_runs_goes_back_uncharged(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    write_handlers(tmp_path, "@on()\ndef slow(event, context):\n    note(context.attempt)\n    time.sleep(25)\n")
    envelopes = [make_envelope() for _ in range(12)]
    enqueue(redis_sync, *envelopes)
    with pool(tmp_path, redis_url, stop_grace="6s") as running:
        wait_until(lambda: calls(redis_sync) == ["1"] * 8, timeout=30)
        began = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        assert running.wait(25) == 0
        assert time.monotonic() - began < 10, "not one grace after the other"
    assert statuses(redis_sync, envelopes) == {"queued"}
    assert len(redis_sync.lrange(keys.queue(envelopes[0].lane), 0, -1)) == 12
    assert not redis_sync.keys(keys.in_flight("*"))
    assert not [one for one in envelopes if redis_sync.hexists(keys.job(one.id), keys.KILLS)]
    assert not redis_sync.keys(keys.marks("*"))


def test_a_second_sigterm_to_the_pool_gives_back_what_runs(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    write_handlers(tmp_path, "@on()\ndef slow(event):\n    note('in')\n    time.sleep(25)\n")
    envelopes = [make_envelope() for _ in range(8)]
    enqueue(redis_sync, *envelopes)
    with pool(tmp_path, redis_url) as running:
        wait_until(lambda: len(calls(redis_sync)) == 8, timeout=30)
        began = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        time.sleep(1.5)  # nearer than that, a second signal is the same one
        running.process.send_signal(signal.SIGTERM)
        assert running.wait(15) == 0
        assert time.monotonic() - began < 6
    assert statuses(redis_sync, envelopes) == {"queued"}
    assert not [one for one in envelopes if redis_sync.hexists(keys.job(one.id), keys.KILLS)]


def test_engines_with_eight_threads_that_are_killed_under_load_lose_nothing(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    write_handlers(tmp_path, "@on()\ndef count(event):\n    note(event.id)\n    time.sleep(0.005)\n")
    envelopes = [make_envelope(lane=f"lane-{n % 3}") for n in range(4000)]
    enqueue(redis_sync, *envelopes)
    killed = 0
    with pool(tmp_path, redis_url, "--role", "janitor"):
        for number in range(8):
            with pool(tmp_path, redis_url, "--role", "engine") as victim:
                before = redis_sync.llen("test:calls")
                wait_until(lambda before=before: redis_sync.llen("test:calls") > before + 100, timeout=30)
                time.sleep(0.013 * number)
                victim.process.kill()
                victim.wait()
                killed += 1
    with pool(tmp_path, redis_url):
        wait_until(lambda: statuses(redis_sync, envelopes) == {"finished"}, timeout=90)
    ran = Counter(calls(redis_sync))
    repeats = sum(times - 1 for times in ran.values())
    print(f"{killed} kills under load, {repeats} handlers ran again")  # noqa: T201 - the figure that counts
    assert set(ran) == {one.id for one in envelopes}, "missing 0"
    assert repeats <= killed * 8 * 2, "those that ran, and those that had ended a moment before"
    assert all(lane_is_empty(redis_sync, f"lane-{lane}") for lane in range(3))
