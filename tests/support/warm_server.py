"""Fork ``ackfirst`` commands from an interpreter that has imported them, for ``tests.support.warm``.

To import a command takes 0.4 to 1.1 s of CPU, and a run of the tests starts some four hundred. A forked one is a
process like any other: a session, a working folder, an environment, a main thread and an exit of its own.
"""

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import tempfile
from dataclasses import dataclass
from importlib import import_module
from io import FileIO, TextIOWrapper
from pathlib import Path

from ackfirst.ops.cli import COMMANDS

#: What commands import only when they need it.
_LATER = ("ackfirst.ingest.app", "ackfirst.ops.web.app", "ackfirst.shared.store", "ackfirst.workers.pool", "uvloop")
#: How many folders ``-m`` and PYTHONPATH have put in front of the interpreter's own path.
_GIVEN_FOLDERS = 1 + len([one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one])


@dataclass
class Wanted:
    """A command to run, with everything that it would be started with."""

    args: list[str]
    cwd: str
    env: dict[str, str]
    output: str
    errors: str


def main() -> None:
    """Serve on the socket that is this process's standard input; in a forked process run the command."""
    import_everything()
    wanted = serve(socket.socket(fileno=os.dup(0)))
    if wanted is not None:
        become(wanted)
        run()


def run() -> None:
    """Run the command; it ends as any program does, with its exit code, its traceback and its atexit functions."""
    exits: list[int] = []

    def leave() -> None:
        # The last of the atexit functions. The interpreter would go on and take apart every module that was imported,
        # and the kernel copy the memory for it: a tenth of a second.
        if exits:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(exits[0])

    atexit.register(leave)
    try:
        runpy.run_module("ackfirst", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        exits.append(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
        raise


def import_everything() -> None:
    modules = {entry.target.partition(":")[0] for entry in COMMANDS.values()}
    for name in [*(f"ackfirst.{module}" for module in sorted(modules)), *_LATER]:
        import_module(name)
    gc.collect()
    gc.freeze()


def serve(control: socket.socket) -> Wanted | None:
    """Fork for each line that arrives, and say which process has ended; None: nobody asks any more."""
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    asked = b""
    while True:
        readable, _, _ = select.select([control, wake], [], [])
        if wake in readable:
            os.read(wake, 512)
            report_ended(control)
        if control in readable:
            if not (received := control.recv(1 << 20)):
                return None
            *lines, asked = (asked + received).split(b"\n")
            for line in lines:
                if (pid := os.fork()) == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    os.close(wake)
                    os.close(woken)
                    control.close()
                    return Wanted(**json.loads(line))
                control.sendall(b'{"started": %d}\n' % pid)


def report_ended(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        control.sendall(b'{"ended": %d, "code": %d}\n' % (pid, os.waitstatus_to_exitcode(status)))


def become(wanted: Wanted) -> None:
    """Take on what ``python -m ackfirst`` would have been started with."""
    os.setsid()
    os.chdir(wanted.cwd)
    os.environ.clear()
    os.environ.update(wanted.env)
    tempfile.tempdir = None  # what was found in the former environment
    appending = os.O_WRONLY | os.O_APPEND
    files = ((os.devnull, os.O_RDONLY), (wanted.output, appending), (wanted.errors, appending))
    for target, (path, flags) in enumerate(files):
        opened = os.open(path, flags)
        os.dup2(opened, target)
        os.close(opened)
    sys.stdout = TextIOWrapper(FileIO(1, "w", closefd=False), encoding="utf-8", write_through=True)
    sys.stderr = TextIOWrapper(FileIO(2, "w", closefd=False), "utf-8", "backslashreplace", write_through=True)
    given = wanted.env.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [wanted.cwd, *(str(Path(wanted.cwd, one)) for one in given if one), *sys.path[_GIVEN_FOLDERS:]]
    sys.argv = [sys.argv[0], *wanted.args]


if __name__ == "__main__":
    main()
