"""Measure each step of ingest by itself, in a loop with everything in the processor's caches."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import structlog

from ackfirst.ingest.metrics import Exposition
from ackfirst.ingest.request_log import RequestLog, RequestRecord
from ackfirst.shared import log
from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.policy import Verdict
from ackfirst.shared.queue.dedupe import place
from ackfirst.shared.queue.envelope_builder import build_envelope
from ackfirst.shared.queue.job import job_data
from ackfirst.shared.verification import Verifier
from ackfirst.simulator.signing import Signer
from bench.load import ACCOUNT, API_KEY, SECRET, callbacks
from bench.plan import Plan
from bench.rows import Row, row

#: Callbacks in each loop.
_COUNT: Final = 2000


def stages(plan: Plan) -> list[Row]:
    """Return the microseconds per callback of each step, and of all together."""
    found = _microseconds(plan.rounds)
    rows = [row(f"{name}, µs", each) for name, each in found.items()]
    return [*rows, row("together, µs", [sum(each) for each in zip(*found.values(), strict=True)])]


def _microseconds(rounds: int) -> dict[str, list[float]]:
    accounts = Accounts([Account(api_key=API_KEY, secrets=(SECRET.encode(),))])
    verifier, now = Verifier(accounts), time.time()
    callbacks = _callbacks(now)
    found = [verifier.verify(one, now=now) for one in callbacks]
    pairs = list(zip(callbacks, found, strict=True))
    envelopes = [build_envelope(one, said, accounts=accounts, trace=None) for one, said in pairs]
    entries = [
        RequestRecord(one.path, one, Verdict.VERIFIED, "token", said, envelope, 200, seconds=0.001)
        for (one, said), envelope in zip(pairs, envelopes, strict=True)
    ]
    with Path(os.devnull).open("w") as nowhere:
        log.configure(format="json", level="info", stream=nowhere, libraries=False)
        request_log = RequestLog(structlog.get_logger(), Exposition(lambda: None).metrics, lines=log.wide_lines())
        steps: dict[str, tuple[Callable[[Any], object], Sequence[Any]]] = {
            "verify: token, hash, signature, fields, family": (lambda one: verifier.verify(one, now=now), callbacks),
            "envelope: identity, lane": (lambda one: build_envelope(*one, accounts=accounts, trace=None), pairs),
            "job: the call as JSON, place of the id": (lambda one: (job_data(one), place(one.id)), envelopes),
            "count it and write its line": (request_log.write, entries),
        }
        measured = {name: [_time(step, values) for _ in range(rounds)] for name, (step, values) in steps.items()}
    structlog.reset_defaults()
    return measured


def _time(step: Callable[[Any], object], values: Sequence[Any]) -> float:
    began = time.perf_counter()
    for value in values:
        step(value)
    return 1e6 * (time.perf_counter() - began) / len(values)


def _callbacks(now: float) -> list[Callback]:
    signer = Signer(ACCOUNT, Random())
    return [signer.request(one, signed=True, now=now).received(now) for one in callbacks(_COUNT)]
