"""``docs/reliability.md``, as the command writes it."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

from ackfirst.shared.embedded.binary import find_binary
from tests.chaos.evidence import Evidence
from tests.chaos.evidence import table as promise_table
from tests.chaos.ledger import Ledger
from tests.chaos.load import SHAPES, Kind
from tests.chaos.matrix import FAULTS
from tests.chaos.table import markdown
from tests.support.processes import ROOT

_TEXT: Final = """\
# Nothing lost: the proof

Written by `make chaos`.

## The promises, and how often each was exercised

{date}, commit {commit}, seed {seed}, {cores} cores{extent}. A promise of which nothing was run is *unchecked*.

{promises}

The rows are below. `python -m tests.drills power-loss` runs Redis and ingest on a file system that forgets what was not
synced, and takes their power away at random moments; `--careless` takes the syncs of one of them away, and must find
what is missing. `lost-machine` destroys Redis's master and its disk under load while its replica is 40 ms behind: what
is missing without `ACKFIRST_REDIS_REPLICAS` is counted beside it. The seed repeats every choice; the moments depend on
the machine.

## The rows

Each row starts Redis (AOF, `appendfsync always`), ingest and a worker pool as real processes,
lets the simulator send signed callbacks of every family like the provider, causes one fault meanwhile, and compares.
What was acknowledged is counted by the simulator only; handlers write what they finished to a file outside Redis.

* **sent**: callbacks; **acked**: events of genuine ones that were answered 200. Every genuine callback was acknowledged
  in the end, or the row does not hold.
* **refused**: other answers to genuine callbacks (`none`: no answer, because the process was killed or none listened).
  A row allows only those that its fault explains; the provider retries.
* **processed**, **dead** (dead letters), **quarantined** (quarantine): where the acknowledged events ended. **again**:
  events that a handler finished more than once.
* **missing** = acked - processed - dead - quarantined. It must be 0.
* **recorded**: events in the record, where the row keeps one (`recorder-…`, `record-…`). Every event that was
  acknowledged and processed is there exactly once, with its body, its final state and its attempt, or the row does not
  hold; of a store that was wiped, those that it did not hold at that time.
* **p50, p99, max**: from the time at which a callback was due (open loop: a stall counts) to its first answer.
* **recovered**: seconds from the end of the fault until every event that was acknowledged by then was processed; after
  a burst mostly the time to process the queue.
* **rescued**: seconds from the kill of an engine until another one finished the job that it was running.

{date}, seed {seed}, {cores} cores, Python {python}, {redis}, RQ {rq}, aiohttp {aiohttp}; {rows} rows in {minutes:.1f}
minutes, {jobs} at a time (each additional row slows the answers of the others). Steady is {steady:g} callbacks per
second, a burst {burst:,.0f} per second.

{table}

{problems}

## The faults

{faults}

## What the spool guarantees

While Redis cannot take an event, ingest appends it to a segment file in a folder of its own and answers 200.

* **What was answered 200 survives kill -9 and a loss of power.** Before the answer comes an `fsync` of the segment
  and of every new folder up to the root. The system calls show it (`tests/acceptance/test_sync_before_answer.py`),
  and so do 3,000 states that a loss of power may leave, any number with `TEST_CRASH_WORKLOADS`
  (`tests/unit/spool/test_crash_states.py`). Both tests are also run against code without its syncs and must fail
  there.
* **A damaged or torn record costs no other record.** Each has a checksum, salted for its segment; reading goes on at
  the next whole one. Damaged bytes are reported and kept: 16 pieces, 64 KiB of each.
  `tests/unit/spool/test_frames_and_segments.py`, `spool-torn`.
* **A disk that stays full, or became read-only, is drained.** A segment is read, confirmed by Redis and deleted;
  nothing is written. `tests/integration/test_spool_disk_faults.py` on mounted disks of 4 MB, `spool-disk-stays-full`.
* **After an error of the disk nothing is acknowledged from that file again**, but from a new segment, or the answer
  is 503. The same test, with `EIO`, `EROFS` and `EDQUOT`.
* **A folder that is moved or removed loses nothing while its process lives.** Path and inode are compared before each
  answer and every two seconds; what the open files hold goes to a new folder. The log (`spool.moved`) and `/readyz`
  (`folder_moved_at`) say so. The same test, `spool-folder-removed`.
* **Events that Redis refuses for a key of another type wait, hold up no others, and are tried again every two
  seconds.** `tests/integration/test_spool_drain.py`.

Not guaranteed: a segment that was cut exactly between two records cannot be told from one that ended there. A loss of
power may bring back a segment whose deletion had not reached the disk; Redis recognises its events for
72 hours. Redis never syncs the name of `appendonlydir` when it makes that folder at its first start:
ext4 and XFS write it with the first sync of a file in it, and `ackfirst dev` makes and syncs the folder before.

## What the record guarantees

* **It never costs an answer or a handler.** Nothing waits for it: ids of arrivals and outcomes go into a stream inside
  the scripts that change the queue, and another process writes them into the store.
* **Every event is recorded once.** A finished job stays in Redis until the store has committed it; a batch and its
  position in the stream are one transaction. The rows `recorder-…` and `record-…`; for stock workers, rescued and
  rejected jobs `tests/integration/test_recorder.py`.
* **What is not recorded is said.** Above 70 % of Redis's memory, or a million events, the oldest finished ones are let
  go: counted with their times in the store, in `record.gap`, in a metric and by an alert.

Not guaranteed: a dead letter that expires (`ACKFIRST_FAILURE_TTL`) while the store is away is recorded without its
body, as a gap. A job that somebody deletes before it was recorded is a gap, too.

## What it has found

The three that were hardest to find, each with the test that prevents its return:

* `redis-reset`: a connection that is reset in the middle of a write makes uvloop raise `RuntimeError`, which redis-py
  passes on. It ended the task that asks Redis for its health: the circuit stayed open, and the spool was never drained
  again until a restart. `tests/unit/spool/test_health.py`.
* `clock-1h-ahead`: a retry that was scheduled while the clock was wrong waited for an hour. The same cause would have
  brought every retry of the next hour at once, and made a running job look overdue.
  `tests/integration/test_worker_redis_clock.py`, `tests/integration/test_worker_rescue.py`.
* `clock-1h-behind`: every token came from the future; the rate limit of the quarantine refused genuine callbacks with
  429, and a recheck verified them by the wrong clock for ever. Such tokens are verified now.
  `tests/unit/verification/test_genuine_tokens.py`, `tests/unit/ops/test_quarantine_recheck.py`.
"""


def page(evidence: Evidence, *, seconds: float, seed: int, jobs: int, quick: bool) -> str:
    """Everything as measured."""
    rows = evidence.rows
    return _TEXT.format(
        commit=_commit(),
        promises=promise_table(evidence),
        extent=", the rows of `make test` with less traffic (`--quick`)" if quick else "",
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        seed=seed,
        cores=os.cpu_count(),
        python=platform.python_version(),
        redis=_redis_version(),
        rq=version("rq"),
        aiohttp=version("aiohttp"),
        rows=len(rows),
        minutes=seconds / 60,
        jobs=jobs,
        steady=SHAPES[Kind.STEADY].rate,
        burst=SHAPES[Kind.BURST].rate,
        table=markdown(rows),
        problems=_problems(rows),
        faults="\n".join(f"* `{fault.name}`: {fault.about}." for fault in FAULTS),
    )


def _problems(rows: Sequence[Ledger]) -> str:
    """Why rows do not hold."""
    broken = [f"* `{row.fault}`, {row.load}: {'; '.join(row.problems)}" for row in rows if not row.holds]
    return "\n".join(["Rows that do not hold, and why:", "", *broken]) if broken else "Every row holds."


def _commit() -> str:
    """The commit that was run, with a ``+`` when files were changed since."""
    said = [
        subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
        for arguments in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
    ]
    return f"{said[0] or 'unknown'}{'+' if said[1] else ''}"


def _redis_version() -> str:
    said = subprocess.run([find_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    return " ".join(said.split()[:3]).replace(" server v=", " ").replace(" server", "")
