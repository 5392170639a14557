"""Take personal data out of the spool of this machine: events that wait on disk for Redis."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from ackfirst.ops.record.redacted import Person, redacted_envelope
from ackfirst.shared.errors import EnvelopeError
from ackfirst.shared.plural import plural
from ackfirst.shared.private_folder import sync_folder
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.record import named_record
from ackfirst.shared.spool.folder import Slot, slots, spool_folder
from ackfirst.shared.spool.frame import Frame, Record
from ackfirst.shared.spool.segment import Segment, damaged_paths, segment_paths
from ackfirst.shared.store.arrival import arrival_of
from ackfirst.shared.store.rows import Arrival

_TEMPORARY: Final = ".redacted"


@named_record
class SpoolRedaction:
    """The records that were found in one folder of the spool."""

    folder: str
    records: int = 0
    """How many events were redacted."""
    unreached: str | None = None
    """What was left, and why: a sentence for the operator."""


def redact_spool(
    data_dir: Path, person: Person, key: bytes, *, found: Callable[[Arrival], object], dry_run: bool = False
) -> Iterator[SpoolRedaction]:
    """Redact the segments of every folder that no process holds, and look into the others.

    A segment is written anew beside the old one and takes its place, with the same name and checksums: a crash leaves
    one of the two, whole.

    Raises:
        OSError: A folder cannot be read or written.
    """
    for slot in slots(spool_folder(data_dir)):
        if dry_run:
            yield SpoolRedaction(folder=slot.folder.name, records=_count(slot, person, key, found))
        elif slot.take():
            try:
                records = sum(_rewrite(path, person, key, found) for path in segment_paths(slot.folder))
            finally:
                slot.release()
            yield SpoolRedaction(folder=slot.folder.name, records=records, unreached=_leftovers(slot, person))
        else:
            waiting = _count(slot, person, key, found)
            left = f"{plural(waiting, 'event')} left there"
            held = f"{left}, and process {slot.holder() or '?'} holds it until all are queued"
            yield SpoolRedaction(folder=slot.folder.name, unreached=held if waiting else _leftovers(slot, person))


def _count(slot: Slot, person: Person, key: bytes, found: Callable[[Arrival], object]) -> int:
    count = 0
    for path in segment_paths(slot.folder):
        with suppress(FileNotFoundError), closing(Segment.open(path)) as segment:  # it may be drained meanwhile
            for record in segment.scan():
                count += _meant(record, person, key, found) is not None
    return count


def _rewrite(path: Path, person: Person, key: bytes, found: Callable[[Arrival], object]) -> int:
    """Write a segment anew without the personal data, if it holds any; return how many records were changed."""
    with closing(Segment.open(path)) as segment:
        changed = sum(_meant(record, person, key, found) is not None for record in segment.scan())
        if not changed:
            return 0
        temporary = path.with_suffix(_TEMPORARY)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                for record in segment.scan():
                    stream.write(_record_bytes(segment, record, person, key))
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    sync_folder(path.parent)
    return changed


def _record_bytes(segment: Segment, record: Record, person: Person, key: bytes) -> bytes:
    envelope = _meant(record, person, key, lambda _: None)
    if envelope is None or record.frame is None:
        return os.pread(segment.fd, record.size, record.at)
    return Frame(record.frame.spooled_at, envelope.encode().encode()).pack(segment.salt)


def _meant(record: Record, person: Person, key: bytes, found: Callable[[Arrival], object]) -> Envelope | None:
    """Return the redacted envelope of a record that is meant; None for any other, and for one that is redacted."""
    if record.frame is None or not any(needle in record.frame.text for needle in person.needles()):
        return None
    try:
        envelope = Envelope.decode(record.frame.text.decode())
    except (EnvelopeError, UnicodeDecodeError):
        return None
    if not person.is_meant_by(arrival := arrival_of(envelope)):
        return None
    found(arrival)
    redacted = redacted_envelope(envelope, key)
    return redacted if redacted != envelope else None


def _leftovers(slot: Slot, person: Person) -> str | None:
    """Name files of the folder that hold the person's number or message id and that cannot be rewritten."""
    needle = person.text.encode("utf-8", "surrogatepass")
    names = [path.name for path in damaged_paths(slot.folder) if needle in path.read_bytes()]
    if slot.sqlite.exists():
        names.append(slot.sqlite.name)
    return f"look at {', '.join(names)}, and delete what you do not need" if names else None
