"""Read and make the token of a Messages callback: a JWT in ``Authorization`` whose ``payload_hash`` covers the body.

Source: Vonage, "Signed webhooks". PyJWT parses and checks; a token is parsed once, however many secrets are tried.
"""

import binascii
import hashlib
import hmac
import json
from binascii import a2b_base64
from dataclasses import field
from functools import lru_cache
from typing import Any, Final

import orjson
from jwt import DecodeError, InvalidKeyError, InvalidTokenError, PyJWS
from jwt.algorithms import HMACAlgorithm

from ackfirst.shared.record import record

ALGORITHM: Final = "HS256"
ISSUER: Final = "Vonage"

#: Characters. Genuine tokens have about 410; what is longer is not parsed at all.
MAX_TOKEN_CHARS: Final = 8192

_SIGNATURE_BYTES: Final = hashlib.sha256().digest_size
#: Translates base64url to the alphabet that Python decodes; ``+/=``, which base64url has not, to what it refuses.
_FROM_URL: Final = bytes.maketrans(b"-_+/=", b"+/!!!")
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
#: Characters that may end a canonical segment, by its length modulo 4: 6, 2 or 4 bits of the last one are used.
_LAST: Final = (_ALPHABET, b"", _ALPHABET[::16], _ALPHABET[::4])
_NO_CLAIMS: Final = b".e30." + b"A" * 43
_MAX_CLAIM_CHARS: Final = 256
_MAX_SECONDS: Final = 2**53
_TEXTS: Final = ("api_key", "application_id", "jti", "iss", "payload_hash")
_NUMBERS: Final = (int, float)


class TokenError(ValueError):
    """The text is not a token that Nexmo could have made; the message is the reason, in kebab-case."""


class SecretError(ValueError):
    """PyJWT refuses to sign or verify with this secret; the message says why and does not quote it."""


@record
class Claims:
    """The claims of a token. A claim of an unexpected type, empty, or over 256 characters counts as absent."""

    api_key: str | None
    """The account, which chooses the secret."""
    application_id: str | None
    iat: int | None
    """Unix seconds at which the token was issued, limited to ±2**53."""
    jti: str | None
    iss: str | None
    payload_hash: str | None
    """Hex SHA-256 of the body; the empty string, which no body has, where something else than text was sent."""

    def cover(self, body: bytes) -> bool:
        """Check in constant time that ``payload_hash`` is there and is the hash of ``body``."""
        if self.payload_hash is None:
            return False
        return hmac.compare_digest(self.payload_hash.lower().encode(), payload_hash(body).encode())


@record
class Token:
    """A token that is well formed and claims HS256. Nothing is confirmed before ``is_confirmed_by``."""

    claims: Claims
    _signing_input: bytes = field(repr=False)
    _signature: bytes = field(repr=False)

    def is_confirmed_by(self, secret: bytes) -> bool:
        """Check in constant time that ``secret`` made the signature; an empty secret confirms nothing."""
        return bool(secret) and _HS256.verify(self._signing_input, secret, self._signature)


def parse(text: str) -> Token:
    """Read a token without verifying it.

    Raises:
        TokenError: Too long, malformed, not HS256, or with claims that are not a JSON object.
    """
    if len(text) > MAX_TOKEN_CHARS:
        raise TokenError("token-too-long")
    try:
        signing_input, _, last = text.encode("ascii").rpartition(b".")
        header, _, payload = signing_input.partition(b".")
        algorithm = _algorithm(header)
        claims, signature = _decode(payload, "payload"), _decode(last, "crypto")
    except (UnicodeEncodeError, InvalidTokenError) as error:
        raise TokenError("malformed-token") from error
    if algorithm != ALGORITHM:
        raise TokenError("algorithm-not-hs256")
    if len(signature) != _SIGNATURE_BYTES:
        raise TokenError("malformed-token")
    return Token(_claims(claims), signing_input, signature)


def payload_hash(body: bytes) -> str:
    """Compute the claim that binds a token to a body: 64 lower-case hex digits, SHA-256 of the bytes on the wire."""
    return hashlib.sha256(body).hexdigest()


def sign_token(
    *, secret: bytes, body: bytes, api_key: str, application_id: str | None, iat: int, jti: str, **extra_claims: Any
) -> str:
    """Make a token as Nexmo does: ``iat`` in Unix seconds, ``application_id`` left out when None.

    ``extra_claims`` add to the claims or replace them; one that is None is left out.

    Raises:
        SecretError: The secret is empty, or a key of another kind.
    """
    claims = {
        "iat": iat,
        "jti": jti,
        "iss": ISSUER,
        "payload_hash": payload_hash(body),
        "api_key": api_key,
        "application_id": application_id,
        **extra_claims,
    }
    said = {name: value for name, value in claims.items() if value is not None}
    try:
        return _JWS.encode(json.dumps(said, separators=(",", ":")).encode(), secret, algorithm=ALGORITHM)
    except InvalidKeyError as error:
        raise SecretError(str(error)) from error


def check_secret(secret: bytes) -> None:
    """Let PyJWT check a secret once, at the start, so that it need not do it for every token.

    Raises:
        SecretError: The secret is empty, or a key of another kind (PEM, SSH, JWK).
    """
    try:
        _HS256.prepare_key(secret)
    except InvalidKeyError as error:
        raise SecretError(str(error)) from error


def _claims(payload: bytes) -> Claims:
    try:
        said = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise TokenError("malformed-token") from error
    if not isinstance(said, dict):
        raise TokenError("malformed-token")
    api_key, application_id, jti, iss, payload_hash = [
        claim if isinstance(claim, str) and 0 < len(claim) <= _MAX_CLAIM_CHARS else None
        for claim in map(said.get, _TEXTS)
    ]
    if payload_hash is None and said.get("payload_hash") is not None:
        payload_hash = ""
    return Claims(api_key, application_id, _seconds(said.get("iat")), jti, iss, payload_hash)


def _seconds(claim: object) -> int | None:
    if isinstance(claim, bool) or not isinstance(claim, _NUMBERS):
        return None
    return int(min(max(claim, -_MAX_SECONDS), _MAX_SECONDS))  # an absurd time is still a time far off


class _SharedSecret(HMACAlgorithm):
    """HS256 with the secret that Nexmo's dashboard shows, whose length is not ours to judge."""

    def check_key_length(self, key: bytes) -> str | None:  # noqa: ARG002 - PyJWT's signature
        """No warning below 32 bytes: there would be one for every token that is signed."""
        return None

    def sign(self, msg: bytes, key: bytes) -> bytes:
        """Sign with a copy of the keyed hash: OpenSSL takes as long for the key as for the message."""
        keyed = _keyed(key).copy()
        keyed.update(msg)
        return keyed.digest()


@lru_cache(maxsize=256)
def _keyed(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")


def _decode(segment: bytes, name: str) -> bytes:
    """Decode base64url. PyJWT checks every character in Python, which is two thirds of its time.

    Only canonical text passes: no other characters, no padding, no unused bits in the last character.
    """
    length = len(segment)
    if segment[-1:] not in _LAST[length % 4]:
        raise DecodeError(f"Invalid {name} segment")
    try:
        return a2b_base64(segment.translate(_FROM_URL) + b"=" * (-length % 4), strict_mode=True)
    except binascii.Error as error:
        raise DecodeError(f"Invalid {name} segment") from error


class _CanonicalJws(PyJWS):
    """PyJWT's parser with a stricter reading of segments: it refuses padding, which PyJWT tolerates."""

    @staticmethod
    def _decode_base64url_segment(segment: bytes, name: str) -> bytes:
        """Decode base64url."""
        return _decode(segment, name)


@lru_cache(maxsize=64)
def _algorithm(header: bytes) -> str | None:
    """Read the algorithm of a header as PyJWT does. Nexmo's header is always the same, and stays in the cache.

    Raises:
        InvalidTokenError: PyJWT refuses a token with it, whatever else it holds.
    """
    parts = _JWS.decode_complete(header + _NO_CLAIMS)
    algorithm: str | None = parts["header"].get("alg")
    return algorithm


def _hs256_only(algorithm: HMACAlgorithm) -> PyJWS:
    """Signs with HS256 alone; reads without verifying, because the secret is chosen by what was read."""
    jws = _CanonicalJws(algorithms=[], options={"verify_signature": False})
    jws.register_algorithm(ALGORITHM, algorithm)
    return jws


_HS256: Final = _SharedSecret(HMACAlgorithm.SHA256)
_JWS: Final = _hs256_only(_HS256)
