"""Handlers that the plugin's own tests run."""

from ackfirst import Context, Discard, Event, RetryLater, on


@on("inbound-message", channel="whatsapp")
async def reply(event: Event, context: Context) -> None:
    if not event.text:
        raise Discard("nothing to reply to")
    if event.text == "busy" and context.attempt < 3:
        raise RetryLater(60)


@on("message-status", status={"rejected", "undeliverable"})
def alert(event: Event) -> None:
    if event.error and event.error.code == "1000":
        raise RuntimeError("the pager is out of order")
