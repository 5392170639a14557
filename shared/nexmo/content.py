"""Read the content of an inbound message: its type, and the words in it. v1 and v0.1 share it.

Either version holds the content in a member that is named after the type: ``{"image": {"url": …, "caption": …}}``.
"""

from collections.abc import Mapping
from typing import Any, Final

from ackfirst.shared.nexmo.values import given, items, members, scalar

#: Members of a v1 message that hold its content; each is named after the ``message_type``.
CONTENT_MEMBERS: Final = (
    "text", "image", "audio", "video", "file", "vcard", "location", "reply", "button", "contacts", "order", "sticker",
    "reaction",
)  # fmt: skip

#: Members that hold words for a person, by type of content, best first. A URL, a file name or a payload is none.
WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "image": ("caption",),
    "audio": ("caption",),
    "video": ("caption",),
    "file": ("caption",),
    "vcard": ("caption",),
    "button": ("text",),
    "reply": ("title",),
    "location": ("name", "address"),
    "reaction": ("emoji",),
    "order": ("text",),
    "sticker": (),
}
_WORDS_OF_A_NEW_TYPE: Final = ("text", "caption", "title")


def content_type(declared: Any, content: dict[str, Any]) -> str | None:
    """Get the declared type, else the member that is there (v1 SMS declares none), else the first attachment's type."""
    present = (name for name in CONTENT_MEMBERS if content.get(name) is not None)
    attachments = (given(members(item).get("type")) for item in items(content.get("content")))
    return given(declared) or next(present, None) or next(attachments, None)


def words(kind: str | None, content: dict[str, Any]) -> str | None:
    """Get what a person would read: the text, else words of the member ``kind``, else an attachment's caption."""
    text = scalar(content.get("text"))
    if text is not None:
        return text
    described = content.get(kind) if kind else None
    if kind == "contacts":
        return ", ".join(filter(None, map(_full_name, items(described)))) or None
    return _first(members(described), WORDS.get(kind or "", _WORDS_OF_A_NEW_TYPE)) or _caption(content)


def _caption(content: dict[str, Any]) -> str | None:
    """Get the first caption of an MMS with several attachments, which lists them in ``content`` (SDK-java)."""
    captions = (_first(members(item), ("caption",)) for item in items(content.get("content")))
    return next(filter(None, captions), None)


def _full_name(contact: Any) -> str:
    name = members(members(contact).get("name"))
    parts = (scalar(name.get("first_name")), scalar(name.get("last_name")))
    return scalar(name.get("formatted_name")) or " ".join(filter(None, parts))


def _first(described: dict[str, Any], names: tuple[str, ...]) -> str | None:
    found = (scalar(described.get(name)) for name in names)
    return next(filter(None, found), None)
