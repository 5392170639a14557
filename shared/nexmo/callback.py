"""The HTTP request as it arrived."""

from ackfirst.shared.record import record


@record
class Callback:
    """One HTTP request from the provider, not yet verified.

    Text fields hold what was on the wire; bytes that are not UTF-8 appear as surrogate escapes (PEP 383), as
    HTTP servers hand them over.
    """

    method: str
    """Upper case: ``GET``, ``HEAD`` or ``POST``."""
    path: str
    """Path of the URL without the query."""
    query: str
    """Query string without ``?``, still percent-encoded; empty when there is none."""
    content_type: str
    """Header value as sent; empty when absent."""
    authorization: str
    """Header value as sent; empty when absent. Holds a token: never log it."""
    body: bytes
    """Exactly the bytes on the wire: ``payload_hash`` is over them."""
    received_at: float
    """Unix seconds at which the request was read."""

    @property
    def is_empty(self) -> bool:
        """True without body and parameters: the request by which Nexmo checks a URL when it is saved."""
        return not self.body and not self.query
