"""Delete an application at Nexmo: save it, read it again, delete it once, and see that it is gone."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from ackfirst.ops.apps.evidence import Found
from ackfirst.ops.nexmo_api import NexmoApi, NexmoApiError
from ackfirst.ops.webhooks import backup
from ackfirst.ops.webhooks.urls import content_of


class RemovalError(Exception):
    """The application was not deleted, or that is not known. The message says which, and names the copy."""


async def remove(api: NexmoApi, found: Found, *, data_dir: Path, now: Callable[[], datetime]) -> Path:
    """Delete an application and return the file with its last state. Nexmo cannot bring it back.

    Raises:
        ConfigurationError: The copy could not be written; nothing was deleted.
        NexmoApiError: Nexmo could not be asked, or refused; nothing was deleted.
        RemovalError: It changed meanwhile and was left alone, or it is still there, or that cannot be seen.
    """
    id_ = str(found.content["id"])
    saved = backup.save(
        data_dir, kind="application", account=found.account.api_key, id_=id_, content=found.content, now=now()
    )
    current = await api.application(id_)
    if current is None:
        raise RemovalError(f"application {id_} was deleted by someone else just now")
    if content_of(current) != content_of(found.content):
        raise RemovalError(f"application {id_} was changed by someone else just now, and was not deleted: try again")
    lost = ""
    try:
        await api.delete_application(id_)
    except NexmoApiError as error:
        if error.is_refusal:
            raise NexmoApiError(f"{error}. Nothing was deleted", status=error.status) from error
        lost = f" ({error})"
    try:
        left = await api.application(id_)
    except NexmoApiError as error:
        raise RemovalError(
            f"application {id_}: the deletion was sent{lost}, but it could not be looked at again ({error}). "
            f"Check with: ackfirst apps list. Its last state is in {saved}"
        ) from error
    if left is not None:
        raise RemovalError(f"application {id_} is still there{lost}: try again. Its state is in {saved}")
    return saved
