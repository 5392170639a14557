"""Callbacks that could not be verified: why, whose, since when; recheck them or drop them, with the plan first."""

import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from redis.asyncio import Redis
from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response

from ackfirst.ops.quarantine import view
from ackfirst.ops.quarantine.recheck import Finding, Outcome, callback_of, recheck_entries, verifier
from ackfirst.ops.quarantine.selection import VERDICTS, Selection, matching
from ackfirst.ops.web.audit import audit
from ackfirst.ops.web.live import live
from ackfirst.ops.web.sources import Sources, sources
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.plural import plural
from ackfirst.shared.quarantine.review import Entry, QuarantineReview, is_entry_id
from ackfirst.shared.quarantine.stream import QuarantineDepth
from ackfirst.shared.verification import Verification

blueprint = Blueprint("quarantine", __name__, url_prefix="/quarantine")

#: Records of one page.
PAGE_SIZE: Final = 25
#: Newest records that the summary counts: a second of Redis's time for all of them would be too much to look at a page.
SUMMARISED: Final = 500
#: Records that one click verifies: under a second.
RECHECKED: Final = 1_000
#: Outcomes that a report lists by record.
_LISTED: Final = 100


@dataclass(slots=True, kw_only=True)
class Group:
    """Records with one verdict, reason and account."""

    verdict: str
    reason: str
    account: str
    count: int = 0
    oldest: float = 0.0
    newest: float = 0.0


@blueprint.get("/")
def index() -> str:
    """List the newest records, and sum up why they are here."""
    found = sources()
    selection, before = _selection(), _entry_id("before")
    now = found.clock()
    entries, depth, groups = found.run(lambda redis: _read(redis, selection, before))
    shown = entries[:PAGE_SIZE]
    older = {**selection.conditions, "before": shown[-1].id} if len(entries) > PAGE_SIZE else None
    return render_template(
        "web/quarantine.html",
        rows=[_row(entry, now) for entry in shown],
        depth=depth,
        groups=groups,
        summarised=min(depth.records, SUMMARISED),
        selection=selection,
        conditions=selection.conditions,
        verdicts=VERDICTS,
        newer=url_for("quarantine.index", **selection.conditions) if before else None,
        older=url_for("quarantine.index", **older) if older else None,
        command=f"ackfirst quarantine list{_options(selection)}",
    )


@blueprint.get("/<entry_id>")
def show(entry_id: str) -> str:
    """Show one record, masked, and how it would be verified today."""
    return _show(entry_id, personal=False)


@blueprint.post("/<entry_id>/personal")
def show_personal(entry_id: str) -> str:
    """Show one record with its numbers and texts; who looked is recorded first."""
    _entry(sources(), entry_id)
    audit("personal-shown", f"quarantine {entry_id}", must_be_kept=True)
    return _show(entry_id, personal=True)


@blueprint.get("/recheck")
def plan_recheck() -> str:
    """Verify records with today's secrets, and write nothing."""
    return _recheck(is_rehearsal=True)


@blueprint.post("/recheck")
def recheck() -> str:
    """Verify records again, queue those that pass, and remove them from the quarantine."""
    return _recheck(is_rehearsal=False)


@blueprint.get("/drop")
def plan_drop() -> str:
    """Say which records would be dropped."""
    found = sources()
    ids = [entry_id for entry_id in request.args.getlist("id") if is_entry_id(entry_id)]
    selection = _selection()
    chosen = found.run(lambda redis: _chosen(redis, ids, selection, None))
    if not chosen:
        raise NotFound("None of these records is in quarantine any more.")
    return render_template(
        "web/quarantine_drop.html",
        count=len(chosen),
        ids=ids,
        rows=[_row(entry, found.clock()) for entry in chosen[:PAGE_SIZE]],
        until=max((entry.id for entry in chosen), key=_order),
        conditions=selection.conditions,
        command="ackfirst quarantine drop " + (" ".join(ids) if ids else _options(selection).strip() or "--all"),
    )


@blueprint.post("/drop")
def drop() -> Response:
    """Delete the records of the plan for good; those that came since stay."""
    found = sources()
    ids = [entry_id for entry_id in request.form.getlist("id") if is_entry_id(entry_id)]
    until = request.form.get("until", "")
    if not is_entry_id(until):
        raise BadRequest("The form does not say up to which record.")
    selection = _selection(request.form)

    async def remove(redis: Redis) -> QuarantineDepth:
        chosen = await _chosen(redis, ids, selection, until)
        return await QuarantineReview(redis).remove([entry.id for entry in chosen])

    gone = found.run(remove)
    audit("quarantine-dropped", selection.subject(ids), plural(gone.records, "record"))
    live().forget()
    return redirect(url_for("quarantine.index", done="dropped"), code=303)


def _show(entry_id: str, *, personal: bool) -> str:
    found = sources()
    entry = _entry(found, entry_id)
    today, trouble = _today(found, entry)
    shown = view.everything(entry, today, personal=personal, now=found.clock())
    body = json.dumps(shown.get("body"), indent=2, ensure_ascii=False) if shown.get("body") is not None else None
    return render_template(
        "web/quarantine_record.html",
        entry=entry,
        record=entry.record,
        shown=shown,
        body=body,
        trouble=trouble,
        is_personal=personal,
        command=f"ackfirst quarantine show {entry_id}" + (" --personal" if personal else ""),
    )


def _entry(found: Sources, entry_id: str) -> Entry:
    entry = found.run(lambda redis: QuarantineReview(redis).get(entry_id))
    if entry is None:
        raise NotFound("This record is not in quarantine (any more).")
    return entry


def _today(found: Sources, entry: Entry) -> tuple[Verification | None, str | None]:
    """Verify a record as of its arrival with today's accounts; or say why that cannot be done here."""
    if entry.record is None:
        return None, "This release cannot read the record: another one wrote it."
    try:
        judge = verifier(found.settings, found.accounts())
    except ConfigurationError as error:
        return None, str(error)
    return judge.verify(callback_of(entry.record), now=entry.record.received_at), None


def _recheck(*, is_rehearsal: bool) -> str:
    found = sources()
    given = request.args if is_rehearsal else request.form
    selection, after = _selection(given), _entry_id("after", given)
    accounts = found.accounts()
    findings: list[Finding] = []
    last: list[str] = []

    async def work(redis: Redis) -> None:
        entries = matching(QuarantineReview(redis).oldest_first(after=after), selection)
        limited = _first(entries, RECHECKED, last)
        await recheck_entries(redis, found.settings, accounts, limited, findings.append, dry_run=is_rehearsal)

    try:
        found.run(work)
    finally:
        if not is_rehearsal:
            queued = sum(finding.outcome is Outcome.QUEUED for finding in findings)
            audit("quarantine-rechecked", selection.subject(), f"{plural(len(findings), 'record')}, {queued} queued")
            live().forget()
    outcomes = Counter((finding.outcome.value, _remark(finding)) for finding in findings)
    return render_template(
        "web/quarantine_recheck.html",
        is_rehearsal=is_rehearsal,
        outcomes=sorted(outcomes.items(), key=lambda item: (-item[1], item[0])),
        passing=sum(finding.outcome in (Outcome.QUEUED, Outcome.DUPLICATE) for finding in findings),
        findings=[view.finding(finding) for finding in findings[:_LISTED]],
        total=len(findings),
        after=after,
        next=last[0] if last else None,
        conditions=selection.conditions,
        command=f"ackfirst quarantine recheck{_options(selection)}" + (" --dry-run" if is_rehearsal else ""),
    )


def _remark(finding: Finding) -> str:
    if finding.outcome is Outcome.QUEUED:
        return "verifies with today's secrets"
    if finding.outcome is Outcome.DUPLICATE:
        return "verifies, and was queued before"
    if finding.outcome is Outcome.UNKNOWN:
        return "written by another release; stays"
    return f"{finding.verdict}: {finding.reason}; stays"


async def _first(entries: AsyncIterator[Entry], most: int, last: list[str]) -> AsyncIterator[Entry]:
    """Yield at most ``most`` entries; note the id of the last one in ``last`` if there are more."""
    previous = ""
    count = itertools.count()
    async for entry in entries:
        if next(count) == most:
            last.append(previous)
            return
        previous = entry.id
        yield entry


async def _read(
    redis: Redis, selection: Selection, before: str | None
) -> tuple[list[Entry], QuarantineDepth, Sequence[Group]]:
    review = QuarantineReview(redis)
    entries = []
    async for entry in matching(review.newest_first(before=before), selection):
        entries.append(entry)
        if len(entries) > PAGE_SIZE:
            break
    return entries, await review.depth(), await _groups(review)


async def _groups(review: QuarantineReview) -> list[Group]:
    """Sum up the newest records by verdict, reason and account."""
    groups: dict[tuple[str, str, str], Group] = {}
    count = 0
    async for entry in review.newest_first():
        if entry.record is not None:
            record = entry.record
            account = view.account(record) or ""
            group = groups.setdefault(
                (record.verdict, record.reason, account),
                Group(verdict=record.verdict, reason=record.reason, account=account, newest=record.received_at),
            )
            group.count += 1
            group.oldest = record.received_at
        count += 1
        if count == SUMMARISED:
            break
    return sorted(groups.values(), key=lambda group: -group.count)[:12]


async def _chosen(redis: Redis, ids: Sequence[str], selection: Selection, until: str | None) -> list[Entry]:
    review = QuarantineReview(redis)
    if ids:
        return [entry for entry_id in ids if (entry := await review.get(entry_id)) is not None]
    entries = matching(review.oldest_first(), selection)
    return [entry async for entry in entries if until is None or _order(entry.id) <= _order(until)]


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)


def _selection(given: Any = None) -> Selection:
    values = request.args if given is None else given
    verdict = values.get("verdict") or None
    return Selection(account=values.get("account") or None, verdict=verdict if verdict in VERDICTS else None)


def _entry_id(name: str, given: Any = None) -> str | None:
    text = (request.args if given is None else given).get(name, "")
    return text if is_entry_id(text) else None


def _options(selection: Selection) -> str:
    return "".join(f" --{name} {value}" for name, value in selection.conditions.items())


def _row(entry: Entry, now: float) -> dict[str, Any]:
    received_at = entry.record.received_at if entry.record else entry.parked_at
    return {**view.row(entry, now=now), "at": received_at}
