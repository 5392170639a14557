"""Open closed standard descriptors on the null device, before anything else gets their numbers."""

import os
import sys
from contextlib import suppress
from typing import Final

_MODES: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_standard_descriptors() -> None:
    """Open those of the descriptors 0, 1 and 2 that are closed, and give Python the streams that it then lacks.

    Without it the event loop's own descriptor becomes number 1 or 2 (``ackfirst ingest >&-``): a library that writes a
    message there, or closes it, breaks the loop, and the process aborts at its stop.
    """
    for number, (name, mode) in enumerate(_MODES):
        try:
            os.fstat(number)
        except OSError:
            # The system gives the lowest free number, which is this one: the lower ones are open by now.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            with suppress(OSError):
                setattr(sys, name, os.fdopen(number, mode, closefd=False))
