"""Read the event that handlers see from an envelope."""

from ackfirst.shared.errors import EnvelopeError
from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.normalise import normalise
from ackfirst.shared.nexmo.reading import read_as
from ackfirst.shared.queue.envelope import Envelope


def parse(envelope: Envelope) -> Event:
    """Read and normalise the callback in ``envelope``.

    Raises:
        EnvelopeError: It holds no callback that ingest would have queued.
    """
    reading = read_as(envelope.encoding, body=envelope.body, query=envelope.query)
    if reading is None:
        raise EnvelopeError(f"the body of event {envelope.id} cannot be read")
    return normalise(
        id=envelope.id,
        family=_family(envelope),
        reading=reading,
        account=envelope.account,
        application_id=envelope.application_id,
        received_at=envelope.received_at,
        raw=envelope.body or envelope.query.encode(errors="surrogateescape"),
    )


def _family(envelope: Envelope) -> Family:
    try:
        return Family(envelope.family)
    except ValueError:
        raise EnvelopeError(f"the envelope's family {envelope.family!r} is not known") from None
