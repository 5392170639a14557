"""Find the private server that ``ackfirst dev`` runs on a data folder, for the commands of a second terminal."""

from collections.abc import Callable, MutableMapping
from pathlib import Path

from pydantic import SecretStr

from ackfirst.shared import masking
from ackfirst.shared.embedded import socket_path
from ackfirst.shared.embedded.server import probe, server_folder, unix_url
from ackfirst.shared.settings import Settings, load_settings


def operator_settings(environ: MutableMapping[str, str], say: Callable[[str], object]) -> Settings:
    """Load the settings of a command that works on the queue; ``say`` takes a line if that is, or was, that of ``dev``.

    Raises:
        ConfigurationError: A setting cannot be used.
    """
    settings = load_settings(environ)
    found = with_private_server(
        settings,
        environ,
        lambda url: say(f"ackfirst: no ACKFIRST_REDIS_URL; using the queue of ackfirst dev, {masking.url(url)}"),
    )
    if found is settings and not settings.redis_url_given and server_folder(settings.data_dir).is_dir():
        url = masking.url(settings.redis_url.get_secret_value())
        say(f"ackfirst: ackfirst dev has stopped here; asking {url} in place of its queue")
    return found


def with_private_server(
    settings: Settings, environ: MutableMapping[str, str], say: Callable[[str], object]
) -> Settings:
    """Point settings without ``ACKFIRST_REDIS_URL`` at the private server of the data folder, while one runs there.

    ``environ`` gets the URL too, for child processes: one that starts while the server is down must not fall back to
    the default URL. ``say`` is called with the URL, so that the output shows which queue a command works on.
    """
    if settings.redis_url_given:
        return settings
    url = _running_server(settings.data_dir)
    if url is None:
        return settings
    environ["ACKFIRST_REDIS_URL"] = url
    say(url)
    return settings.model_copy(update={"redis_url": SecretStr(url)})


def _running_server(data_dir: Path) -> str | None:
    folder = server_folder(data_dir)
    if not folder.is_dir():
        return None
    socket = socket_path.choose(folder)
    return None if probe(socket) == "silent" else unix_url(socket)
