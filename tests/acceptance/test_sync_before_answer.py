"""Seen from the system calls: a callback is answered 200 once its bytes, and the names that lead there, are synced."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from ackfirst.shared.embedded.binary import find_binary
from tests.support.factories import inbound_message
from tests.support.nexmo import Nexmo
from tests.support.ports import free_port
from tests.support.processes import ROOT, clean_environment
from tests.support.redis_process import RedisProcess
from tests.support.stack import settings
from tests.support.strace import Unsynced, calls, needs_strace, strace
from tests.support.waiting import wait_until

pytestmark = needs_strace

CALLBACKS = 30

NO_SYNC = """
import os
os.fsync = os.fdatasync = lambda fd: None
"""


@contextmanager
def traced_ingest(folder: Path, redis_url: str, *, with_sync: bool = True) -> Iterator[Nexmo]:
    """``ackfirst ingest`` under strace, with a data folder whose ancestors are missing, too."""
    port = free_port()
    listen = {"ACKFIRST_LISTEN": f"127.0.0.1:{port}", "ACKFIRST_ADMIN_LISTEN": f"127.0.0.1:{free_port()}"}
    env = clean_environment(**settings(redis_url, folder / "not" / "made" / "yet"), **listen)
    env["PYTHONPATH"] = str(ROOT)
    if not with_sync:
        (folder / "mutant").mkdir()
        (folder / "mutant" / "sitecustomize.py").write_text(NO_SYNC)
        env["PYTHONPATH"] += f":{folder / 'mutant'}"
    nexmo = Nexmo(port)
    with (folder / "out").open("wb") as output:
        process = subprocess.Popen(
            [*strace(folder / "trace"), sys.executable, "-m", "ackfirst", "ingest"],
            cwd=folder,
            env=env,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: answers(nexmo), timeout=60, message=(folder / "out").read_text())
        yield nexmo
    finally:
        process.terminate()
        process.wait(timeout=60)
    wait_until(lambda: "+++ exited" in (folder / "trace").read_text(errors="replace")[-4000:], timeout=30)


def answers(nexmo: Nexmo) -> bool:
    try:
        return nexmo.request("GET", "/healthz") == 200
    except OSError:
        return False


def send(nexmo: Nexmo) -> None:
    """One after the other: at the moment of an answer nothing else is under way."""
    for number in range(CALLBACKS):
        assert nexmo.post_json(inbound_message(message_uuid=f"uuid-{number:03d}")) == 200


def answered_too_early(folder: Path) -> list[str]:
    """What was written and not yet synced, at each 200."""
    unsynced = Unsynced(folder, lambda path: path.endswith(".segment"))
    early, answered = [], 0
    for call in calls(folder / "trace"):
        unsynced.see(call)
        # Before the first event is written, it is /healthz that answers, while folders are being made.
        if unsynced.written and call.result is None and '"HTTP/1.1 200' in call.text:
            answered += 1
            early += [f"{what} in {path}" for path, what in unsynced.dirty.items()]
    assert answered >= CALLBACKS
    assert unsynced.written >= CALLBACKS, "each on the disk"
    return early


def test_an_answer_from_the_spool_comes_after_the_sync_of_its_bytes_and_of_every_new_folder(
    own_redis: RedisProcess, tmp_path: Path
) -> None:
    own_redis.kill()
    with traced_ingest(tmp_path, own_redis.url) as nexmo:
        send(nexmo)
    assert answered_too_early(tmp_path) == []


def test_the_same_look_finds_an_ingest_that_does_not_sync(own_redis: RedisProcess, tmp_path: Path) -> None:
    own_redis.kill()
    with traced_ingest(tmp_path, own_redis.url, with_sync=False) as nexmo:
        send(nexmo)
    early = answered_too_early(tmp_path)
    for what in ("write ", "segment in ", f"{tmp_path}/not in {tmp_path}", "spool-0 in "):
        assert [one for one in early if what in one], f"{what} is missing in {early[:5]}"


def test_an_answer_from_redis_comes_after_the_sync_of_its_append_only_file(redis_folder: Path, tmp_path: Path) -> None:
    with traced_redis(redis_folder) as server, traced_ingest(tmp_path, server.url) as nexmo:
        send(nexmo)
    assert replied_too_early(redis_folder) == []
    assert answered_before_the_reply(tmp_path) == []


def test_the_same_look_finds_a_redis_that_syncs_later(redis_folder: Path, tmp_path: Path) -> None:
    with traced_redis(redis_folder, appendfsync="no") as server, traced_ingest(tmp_path, server.url) as nexmo:
        send(nexmo)
    assert len(replied_too_early(redis_folder)) >= CALLBACKS


@contextmanager
def traced_redis(folder: Path, **options: str) -> Iterator[RedisProcess]:
    launcher = folder / "launch"
    launcher.write_text(
        f'#!/bin/sh\nexec {" ".join(strace(folder / "trace"))} {shlex.quote(str(find_binary()))} "$@"\n'
    )
    launcher.chmod(0o755)
    server = RedisProcess(folder, **options)
    with patch("tests.support.redis_process.find_binary", lambda: str(launcher)):
        server.start()
    try:
        yield server
    finally:
        server.stop()


def replied_too_early(folder: Path) -> list[str]:
    """What Redis had written and not yet synced, at each of its replies.

    The name of its folder ``appendonlydir`` is left out: Redis makes it at its first start and never syncs it. ext4 and
    XFS write it with the first sync of a file in it; ``ackfirst dev`` makes the folder itself, and syncs it.
    """
    unsynced = Unsynced(folder, lambda path: ".incr.aof" in path)
    early, replies = [], 0
    for call in calls(folder / "trace"):
        unsynced.see(call)
        unsynced.dirty.pop(str(folder), None)
        if call.result is None and call.name in {"write", "writev"} and "socket:" in call.path:
            replies += 1
            early += [f"{what} in {path}" for path, what in unsynced.dirty.items()]
    assert replies >= CALLBACKS
    assert unsynced.written >= CALLBACKS
    return early


def answered_before_the_reply(folder: Path) -> list[str]:
    """Callbacks that ingest answered before it had read Redis's reply to the write of their event."""
    early: list[str] = []
    writing: dict[str, str] = {}
    confirmed: set[str] = set()
    sent: set[str] = set()
    for call in calls(folder / "trace"):
        is_send = call.result is None and call.name in {"write", "writev", "sendto", "sendmsg"}
        name = next((f"uuid-{n:03d}" for n in range(CALLBACKS) if f"uuid-{n:03d}" in call.text), None)
        if is_send and "EVALSHA" in call.text and name:
            writing[call.path] = name
            sent.add(name)
        elif call.name in {"read", "readv", "recvfrom"} and (call.result or 0) > 0 and call.path in writing:
            confirmed.add(writing.pop(call.path))
        elif is_send and '"HTTP/1.1 200' in call.text:
            early += sent - confirmed
    assert len(confirmed) == CALLBACKS
    return early
