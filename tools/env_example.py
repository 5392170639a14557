"""Write ``.env.example`` from the settings model and the compose file."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ackfirst.shared.settings import SECRETS, Settings
from ackfirst.shared.settings.environment import variable
from tools.settings_table import default, unit

ROOT: Final = Path(__file__).resolve().parents[1]

#: Settings that the compose file fixes: addresses and folders inside the containers.
FIXED: Final = (
    "listen",
    "admin_listen",
    "redis_url",
    "data_dir",
    "config",
    "store_url",
    "web_listen",
    "web_password",
)

#: Settings that most installations change, in the order in which a newcomer needs them.
FIRST: Final = ("api_key", "signature_secret", "sms_signature_method", "handlers")

_HEAD: Final = """\
# Settings of the compose stack: copy this file to .env and change what you need. Everything has a default that works.
# A line that is commented out shows the default. Longer things (several accounts, certificates, passwords of your own)
# are files: see config/README.md. After a change: docker compose up -d
#
# A value with $, # or spaces stands in single quotes. A secret is better a file: docker inspect does not show that."""

#: Section → variable of the compose file → what it means.
STACK: Final = {
    "What runs": {
        "COMPOSE_PROFILES": "Parts beside the system itself, comma separated: demo (traffic as Nexmo would send it), "
        "observability (Prometheus with alerts, Grafana), tunnel (ngrok, for a stack that Nexmo cannot reach).",
        "HANDLERS": "Folder with your handlers, readable by everybody. ACKFIRST_HANDLERS names modules in it.",
        "WORKER_REPLICAS": "Worker containers. --scale worker=N changes it until the next docker compose up.",
        "INGEST_REPLICAS": "Ingest containers: with two, one may fail. As above.",
        "WORKER_PROCESSES": "Engines in each worker container, one a core.",
        "INGEST_PROCESSES": "Processes in each ingest container, one a core.",
        "NGROK_AUTHTOKEN": "Your token, for the profile tunnel; http://127.0.0.1:4040 then shows the public address.",
        "DEMO_RATE": "Callbacks a second of the profile demo.",
        "DEMO_COUNT": "Callbacks after which it begins again.",
    },
    "Ports of this machine, as PORT or ADDRESS:PORT": {
        "HTTP_LISTEN": "Callbacks. Nexmo must reach this one or the next.",
        "HTTPS_LISTEN": "Callbacks over TLS, once there are certificates in config/tls/.",
        "WEB_LISTEN": "The operator's page: plain HTTP with a password, hence for this machine only.",
        "PROMETHEUS_LISTEN": "Prometheus, without a password.",
        "GRAFANA_LISTEN": "Grafana; the user is ackfirst, the password is made like the page's.",
        "TUNNEL_LISTEN": "What the tunnel shows about itself.",
    },
    "Limits": {
        "REDIS_MAXMEMORY": "Most memory for events. Full means refused: ingest then writes to its disk.",
        "REDIS_MEMORY_LIMIT": "The container's limit: more than twice as much, for a rewrite of the log copies what "
        "changes meanwhile.",
        "POSTGRES_MEMORY_LIMIT": "Of the record's database, below what ingest gets.",
        "INGEST_MEMORY_LIMIT": "Of each ingest container.",
        "WORKER_MEMORY_LIMIT": "Of each worker container.",
        "STOP_GRACE_PERIOD": "Time that a container has to stop. Longer than ACKFIRST_STOP_GRACE, and that longer than "
        "ACKFIRST_HANDLER_TIMEOUT: then every handler that has begun comes to its end.",
    },
    "Images": {
        "ACKFIRST_IMAGE": "Ours, or one of your own that begins FROM it.",
        "PYTHON_IMAGE": "What ours is built from.",
        "REDIS_IMAGE": "Redis 7 or newer; a Valkey image works as well if it has redis-server and redis-cli.",
        "POSTGRES_IMAGE": "PostgreSQL, for the record. A new major version needs a dump and a restore.",
        "NGINX_IMAGE": "nginx; 1.27.3 or newer keeps connections to ingest open.",
        "PROMETHEUS_IMAGE": "Of the profile observability.",
        "GRAFANA_IMAGE": "As above.",
        "NGROK_IMAGE": "Of the profile tunnel.",
    },
}

_VARIABLE: Final = re.compile(r"\$\{(?P<name>[A-Z_]+)(?::?-(?P<default>[^}]*))?\}")


def compose_defaults() -> dict[str, str]:
    """Return every variable of the compose file with its default there."""
    text = (ROOT / "docker-compose.yml").read_text()
    return {found["name"]: found["default"] or "" for found in _VARIABLE.finditer(text)}


def example() -> str:
    """Build the whole file."""
    defaults = compose_defaults()
    parts = [_HEAD, _title("Your Nexmo account and your code")]
    parts += map(_setting, FIRST)
    for section, names in STACK.items():
        shown = {name: about for name, about in names.items() if name in defaults}
        parts += [_title(section), *(_entry(name, about, defaults[name]) for name, about in shown.items())]
    parts.append(_title("Every other setting (docs/settings.md)"))
    parts += [_setting(name) for name in Settings.model_fields if name not in (*FIRST, *FIXED)]
    return "\n\n".join(parts) + "\n"


def _title(text: str) -> str:
    return f"# ---- {text} {'-' * (100 - len(text))}"


def _setting(name: str) -> str:
    field = Settings.model_fields[name]
    about = f"{field.description}"
    if unit(name):
        about += f" ({unit(name)})"
    chosen = compose_defaults()[variable(name)] or default(name)
    entry = _entry(variable(name), about, chosen)
    if name in SECRETS:
        file = name.replace("_", "-")
        entry += f"\n# Or as a file: config/{file}, and\n#{variable(name)}_FILE=/etc/ackfirst/{file}"
    return entry


def _entry(name: str, about: str, value: str) -> str:
    return "\n".join([*_comment(about), f"#{name}={value}"])


def _comment(text: str) -> Iterator[str]:
    yield from textwrap.wrap(text, 118, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
