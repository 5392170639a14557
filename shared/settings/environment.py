"""From ``ACKFIRST_*`` names to values, and from what pydantic finds wrong to one sentence that names them."""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from ackfirst.shared.errors import ConfigurationError

PREFIX: Final = "ACKFIRST_"
_FILE: Final = "_FILE"
_SHOWN: Final = 60
_SUBJECT: Final = re.compile(r"^(Input|Value) ")

#: pydantic's kind of mistake → the same for somebody who does not program.
_WORDS: Final = {
    "bool_parsing": "use 1 or 0",
    "int_parsing": "use a whole number, without unit",
    "float_parsing": "use a number, without unit",
}


def variable(field: str) -> str:
    """Name of the environment variable of a setting: ``ack_deadline`` is ``ACKFIRST_ACK_DEADLINE``."""
    return PREFIX + field.upper()


def given(environ: Mapping[str, str], fields: Collection[str], secrets: Collection[str]) -> dict[str, str]:
    """The text of every setting that ``environ`` holds; an empty one counts as not set.

    Args:
        environ: Usually ``os.environ``; names without our prefix are ignored.
        fields: Names of all settings.
        secrets: Those of them that may also come as ``ACKFIRST_<NAME>_FILE``, the name of a file that holds the value.

    Raises:
        ConfigurationError: A name is not known, a value is given twice, or a file cannot be read.
    """
    known = {variable(field): field for field in fields}
    files = {variable(field) + _FILE: field for field in secrets}
    found: dict[str, str] = {}
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        field = known.get(name) or files.get(name) or _refuse(name, [*known, *files])
        if not environ[name]:
            continue
        if field in found:
            raise ConfigurationError(f"{variable(field)} and {name} are both set: remove one of them")
        found[field] = _content(name, environ[name]) if name in files else environ[name]
    return found


def _refuse(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "docs/settings.md lists all names"
    raise ConfigurationError(f"{name} is not a setting: {hint}")


def _content(name: str, path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"{name} names {path!r}, which cannot be read: {why}") from error
    if not text:
        raise ConfigurationError(f"{name} names {path!r}, which is empty: it must hold the value")
    return text


def sentence(error: ValidationError, texts: Mapping[str, str], secrets: Collection[str]) -> str:
    """Everything that pydantic found, as one sentence. Never holds the value of a secret."""
    return "; ".join(dict.fromkeys(_problems(error, texts, secrets)))


def _problems(error: ValidationError, texts: Mapping[str, str], secrets: Collection[str]) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_input=False):
        found = what(problem)
        if not problem["loc"]:
            yield found
            continue
        field = str(problem["loc"][0])
        if field in secrets or field not in texts:
            yield f"{variable(field)}: {found}"
        else:
            yield f"{variable(field)} is {_short(texts[field])}: {found}"


def what(problem: Any) -> str:
    """A validator's own words as they are; pydantic's without their subject."""
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, ValueError):
        return str(cause)
    return _WORDS.get(problem.get("type", "")) or _SUBJECT.sub("it ", str(problem["msg"]))


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
