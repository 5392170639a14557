"""Collect ``ACKFIRST_*`` values from an environment, and turn validation errors into one sentence that names them."""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.settings.types import without_line_ends

PREFIX: Final = "ACKFIRST_"
_FILE: Final = "_FILE"
_SHOWN: Final = 60
_SUBJECT: Final = re.compile(r"^(Input|Value) ")

#: pydantic's kind of error → words for an operator.
_WORDS: Final = {
    "bool_parsing": "use 1 or 0",
    "int_parsing": "use a whole number, without unit",
    "float_parsing": "use a number, without unit",
}


def variable(field: str) -> str:
    """Return the environment variable of a setting: ``ACKFIRST_ACK_DEADLINE`` for ``ack_deadline``."""
    return PREFIX + field.upper()


def secret_files(environ: Mapping[str, str], secrets: Collection[str]) -> list[Path]:
    """List the files that ``ACKFIRST_<NAME>_FILE`` variables name."""
    paths = (without_line_ends(environ.get(name, "")) for name in _file_variables(secrets))
    return [Path(path) for path in paths if path]


def _file_variables(secrets: Collection[str]) -> dict[str, str]:
    return {variable(field) + _FILE: field for field in secrets}


def given(environ: Mapping[str, str], fields: Collection[str], secrets: Collection[str]) -> dict[str, str]:
    """Collect the text of every setting in ``environ``, without the spaces and line ends around it.

    An empty text counts as not set. Secrets keep their spaces, which may belong to them.

    Args:
        environ: Usually ``os.environ``; names without our prefix are ignored.
        fields: Names of all settings.
        secrets: Those that may also come as ``ACKFIRST_<NAME>_FILE``, the path of a file with the value.

    Raises:
        ConfigurationError: A name is unknown, a value is given twice, or a file cannot be read.
    """
    known = {variable(field): field for field in fields}
    files = _file_variables(secrets)
    found: dict[str, str] = {}
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        field = known.get(name) or files.get(name) or _refuse(name, [*known, *files])
        text = without_line_ends(environ[name])
        if not text:
            continue
        if field in found:
            raise ConfigurationError(f"{variable(field)} and {name} are both set: remove one of them")
        if name in files:
            found[field] = _content(name, text)
        else:
            found[field] = text if field in secrets else text.strip()
    return found


def _refuse(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "docs/settings.md lists all names"
    raise ConfigurationError(f"{name} is not a setting: {hint}")


def _content(name: str, path: str) -> str:
    try:
        text: str = without_line_ends(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"{name} names {path!r}, which cannot be read: {why}") from error
    if not text:
        raise ConfigurationError(f"{name} names {path!r}, which is empty: it must hold the value")
    return text


def sentence(error: ValidationError, texts: Mapping[str, str], secrets: Collection[str]) -> str:
    """Describe all validation errors in one sentence, which never repeats the value of a secret."""
    return "; ".join(dict.fromkeys(_problems(error, texts, secrets)))


def _problems(error: ValidationError, texts: Mapping[str, str], secrets: Collection[str]) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_input=False):
        found = describe(problem)
        if not problem["loc"]:
            yield found
            continue
        field = str(problem["loc"][0])
        if field in secrets or field not in texts:
            yield f"{variable(field)}: {found}"
        else:
            yield f"{variable(field)} is {_short(texts[field])}: {found}"


def describe(problem: Any) -> str:
    """Describe one validation error: in our validator's words, or in pydantic's without their subject."""
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, ValueError):
        return str(cause)
    return _WORDS.get(problem.get("type", "")) or _SUBJECT.sub("it ", str(problem["msg"]))


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
