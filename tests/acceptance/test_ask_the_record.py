"""An operator asks what happened to a message, in a second terminal beside ``ackfirst dev``."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.dev import Dev
from tests.support.factories import API_KEY, SECRET, inbound_message
from tests.support.processes import clean_environment, command_output
from tests.support.waiting import wait_until

MESSAGE = "aaaaaaaa-0000-4000-8000-000000000001"
NUMBER = "447700900417"
HANDLERS = """
from ackfirst import on

@on("inbound-message", retries=0)
def note(event):
    if event.text == "break":
        raise TimeoutError(f"no answer about {event.sender}")
    return f"stored {event.text}"
"""


@pytest.fixture
def folder(redis_folder: Path) -> Path:
    folder = redis_folder / "project"
    folder.mkdir()
    return folder


def environment() -> dict[str, str]:
    return clean_environment(ACKFIRST_API_KEY=API_KEY, ACKFIRST_SIGNATURE_SECRET=SECRET, COLUMNS="120")


def asked(folder: Path, *args: str, code: int = 0) -> list[dict[str, Any]]:
    done = command_output(*args, "--json", cwd=folder, env=environment())
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_happened_is_known_at_once_found_recorded_and_taken_out_again(folder: Path) -> None:
    dev = Dev(folder)
    (folder / "callbacks.py").write_text(HANDLERS)
    with dev:
        dev.wait_until_ready()
        assert dev.nexmo.post_json(inbound_message(message_uuid=MESSAGE, text="berth 7")) == 200
        assert asked(folder, "message", MESSAGE)[0]["kind"] == "received"

        def recorded_steps() -> list[dict[str, Any]] | None:
            steps = asked(folder, "message", MESSAGE)
            all_recorded = {step["source"] for step in steps} == {"record"}
            return steps if all_recorded and steps[-1]["kind"] == "ended" else None

        received, attempt, ended = wait_until(recorded_steps, timeout=60)
        assert (received["state"], ended["ending"]) == ("processed", "processed")
        assert (attempt["handler"], attempt["returned"]) == ("callbacks.note", "stored berth 7")

        broken = MESSAGE.replace("1", "2")
        assert dev.nexmo.post_json(inbound_message(message_uuid=broken, text="break")) == 200
        wait_until(lambda: len(asked(folder, "dead", "list")) == 1, timeout=60)
        [letter] = asked(folder, "dead", "list")
        assert (letter["message_id"], letter["handler"]) == (broken, "callbacks.note")
        assert letter["error"] == "TimeoutError: no answer about 447•••••417"

        outcomes = {"processed": 1, "dead": 1}  # the record has the second one a moment later than Redis
        wait_until(lambda: asked(folder, "stats", "--since", "1h")[0]["totals"]["outcome"] == outcomes, timeout=30)
        assert len(asked(folder, "events", "--from-number", NUMBER)) == 2

        done = {row["place"]: row["redacted"] for row in asked(folder, "redact", NUMBER, "--yes")}
        assert done["record"] == 2
        assert asked(folder, "events", "--from-number", NUMBER) == []
        data = folder / ".ackfirst"
        assert (data / "redaction-key").stat().st_mode & 0o077 == 0


def test_new_events_are_followed_until_the_reader_goes(folder: Path) -> None:
    with Dev(folder) as dev:
        dev.wait_until_ready()
        wait_until(lambda: command_output("events", cwd=folder, env=environment()).returncode == 0, timeout=60)
        argv = [sys.executable, "-m", "ackfirst", "events", "--follow", "--json"]
        with subprocess.Popen(argv, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True) as follower:
            assert follower.stdout is not None
            deadline = time.monotonic() + 90
            os.set_blocking(follower.stdout.fileno(), False)
            lines: list[str] = []
            number = 0
            while not lines and time.monotonic() < deadline:
                number += 1
                uuid = f"aaaaaaaa-0000-4000-8000-{number:012d}"
                assert dev.nexmo.post_json(inbound_message(message_uuid=uuid)) == 200
                time.sleep(1)
                lines = follower.stdout.readlines()
            follower.kill()
        assert json.loads(lines[0])["family"] == "inbound-message"
