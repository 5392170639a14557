"""The package as it is published: one name, whole from a tree and from an sdist, and usable from any other folder."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
import redis
from trove_classifiers import classifiers

from ackfirst.shared.settings import SECRETS
from tests.support.factories import make_envelope
from tests.support.handlers import calls, write_handlers
from tests.support.jobs import enqueue
from tests.support.processes import ROOT, clean_environment
from tests.support.stack import settings
from tests.support.waiting import wait_until

#: Names of ours that would stand in the way of a user's own packages.
GENERIC = ("ingest", "workers", "shared", "ops", "simulator", "pytest_plugin", "tests", "bench", "tools", "examples")

#: What a build leaves out of a room.
NOT_SHIPPED = ("__pycache__", ".mypy_cache", ".ruff_cache")


def python(*args: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """Run this interpreter; return what it printed."""
    return run(sys.executable, *args, cwd=cwd, env=env)


def run(*args: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    environ = clean_environment(**(env or {}))
    ran = subprocess.run(args, cwd=cwd, env=environ, capture_output=True, text=True, timeout=150, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def build(what: str, source: Path, out: Path) -> Path:
    """Build a wheel or an sdist with the build system that is installed here; return the file."""
    python("-m", "build", "--no-isolation", f"--{what}", "--outdir", out, source)
    (file,) = out.iterdir()
    return file


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist, the wheel of this tree, and the wheel of the sdist."""
    folder = tmp_path_factory.mktemp("packages")
    sdist = build("sdist", ROOT, folder / "sdist")
    (folder / "unpacked").mkdir()
    subprocess.run(["tar", "-xzf", sdist, "-C", folder / "unpacked"], check=True)
    (unpacked,) = (folder / "unpacked").iterdir()
    return {
        "sdist": sdist,
        "wheel of the tree": build("wheel", ROOT, folder / "tree"),
        "wheel of the sdist": build("wheel", unpacked, folder / "of-sdist"),
    }


def members(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def metadata(packages: dict[str, Path]) -> Message:
    found = members(packages["wheel of the sdist"])
    (name,) = (name for name in found if name.endswith(".dist-info/METADATA"))
    return message_from_bytes(found[name])


def test_a_wheel_of_the_tree_and_a_wheel_of_the_sdist_are_the_same(packages: dict[str, Path]) -> None:
    assert members(packages["wheel of the tree"]) == members(packages["wheel of the sdist"])


def test_a_wheel_holds_every_file_of_every_room_under_one_name(packages: dict[str, Path]) -> None:
    shipped = {name for name in members(packages["wheel of the sdist"]) if ".dist-info/" not in name}
    package = ROOT / "src" / "ackfirst"
    files = [Path(folder) / name for folder, _, names in os.walk(package, followlinks=True) for name in names]
    own = {str(file.relative_to(package.parent)) for file in files if not set(file.parts) & set(NOT_SHIPPED)}
    assert shipped == own
    assert {Path(name).suffix for name in shipped} >= {".py", ".lua", ".js", ".typed"}


def test_an_sdist_holds_real_files_and_nothing_of_an_installation(packages: dict[str, Path]) -> None:
    with tarfile.open(packages["sdist"]) as archive:
        assert [one.name for one in archive.getmembers() if not one.isfile()] == []
        names = {one.name.partition("/")[2] for one in archive.getmembers()}
    assert not {name for name in names if name.startswith((".env", ".ackfirst", "config/")) or name == "ackfirst.toml"}
    secrets = {f"{secret.replace('_', '-')}" for secret in SECRETS}
    assert not {name for name in names if Path(name).name in secrets}


def test_the_package_index_would_take_it(packages: dict[str, Path]) -> None:
    python("-m", "twine", "--no-color", "check", "--strict", *packages.values())
    about = metadata(packages)
    assert set(about.get_all("Classifier", ())) <= classifiers
    assert about["Description-Content-Type"] == "text/markdown"
    assert about["License-Expression"] == "MIT"
    assert "py.typed" in {Path(name).name for name in members(packages["wheel of the sdist"])}


def test_the_long_description_has_no_link_to_a_file_that_the_index_does_not_have(packages: dict[str, Path]) -> None:
    text = str(metadata(packages).get_payload())
    assert "[RQ](https://python-rq.org)" in text
    assert "Writing handlers" in text
    assert re.findall(r"\]\((?!https?://)[^)]*\)", text) == []


def test_what_the_image_is_built_from_makes_the_same_wheel(packages: dict[str, Path], tmp_path: Path) -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    names = {name for sources, _ in copied for name in sources.split()}
    for name in names:
        source, target = ROOT / name, tmp_path / "context" / name
        target.parent.mkdir(exist_ok=True)
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, target, **({"symlinks": True} if source.is_dir() else {}))
    wheel = build("wheel", tmp_path / "context", tmp_path / "out")
    assert members(wheel) == members(packages["wheel of the tree"])


class Installed:
    """A virtual environment with ackfirst, and with the libraries of this one."""

    def __init__(self, folder: Path, *requirement: str | Path) -> None:
        python("-m", "venv", "--without-pip", folder)
        self.python = folder / "bin" / "python"
        where = run(self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
        self.packages = Path(where.strip())
        self.before = self.names()
        # A path in a .pth file is not searched for further .pth files: our own editable install stays invisible.
        (self.packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
        options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", "--no-build-isolation")
        python("-m", "pip", "--python", self.python, "install", *options, "--ignore-installed", *requirement)
        (self.packages / "libraries.pth").rename(self.packages / "zz-libraries.pth")

    def names(self) -> set[str]:
        return {path.name for path in self.packages.iterdir()}

    @property
    def added(self) -> set[str]:
        return self.names() - self.before - {"zz-libraries.pth"}


@pytest.fixture(scope="session", params=["wheel of the tree", "wheel of the sdist", "editable"])
def installed(
    request: pytest.FixtureRequest, packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("installed")
    if request.param != "editable":
        yield Installed(folder / "venv", packages[request.param])
        return
    checkout = folder / "checkout"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.toml.bak")
    shutil.copytree(ROOT, checkout, symlinks=True, ignore=ignored)
    yield Installed(folder / "venv", "--editable", checkout)


def test_nothing_of_a_generic_name_is_installed(installed: Installed, tmp_path: Path) -> None:
    (about,) = (name for name in installed.added if re.fullmatch(r"ackfirst-[\d.]+\.dist-info", name))
    (rest,) = installed.added - {about}
    assert rest == "ackfirst" or re.fullmatch(r"_\w*ackfirst\.pth", rest)
    find = (
        f"import importlib.util as u; print(*[s.submodule_search_locations for s in map(u.find_spec, {GENERIC}) if s])"
    )
    found = run(installed.python, "-c", find, cwd=tmp_path)
    assert str(installed.packages) not in found
    assert "checkout" not in found


def test_every_module_can_be_imported_from_another_folder(installed: Installed, tmp_path: Path) -> None:
    script = (
        "import importlib, pkgutil, ackfirst\n"
        "names = [found.name for found in pkgutil.walk_packages(ackfirst.__path__, 'ackfirst.')]\n"
        "for name in names:\n"
        "    if not name.endswith('__main__') and '.mypy_cache' not in name:\n"
        "        importlib.import_module(name)\n"
        "print(len(names))\n"
    )
    assert int(run(installed.python, "-c", script, cwd=tmp_path)) > 150


def test_commands_run_from_another_folder(installed: Installed, tmp_path: Path) -> None:
    command = installed.python.parent / "ackfirst"
    assert "ackfirst" in run(command, "--version", cwd=tmp_path)
    assert "never-stall" in run(command, "policy", cwd=tmp_path)
    assert "Usage" in run(command, "worker", "--help", cwd=tmp_path)


def test_the_record_is_made_by_the_migrations_that_come_along(installed: Installed, tmp_path: Path) -> None:
    script = (
        "from ackfirst.shared.store import open_store\n"
        "print(open_store('sqlite:///record.db', migrate=True).position())\n"
    )
    assert run(installed.python, "-c", script, cwd=tmp_path) == "0-0\n"


def test_a_handler_may_use_packages_of_its_own_called_shared_workers_and_ops(
    installed: Installed, redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    for package, value in (("shared", "salt"), ("workers", "rope"), ("ops", "anchor")):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / "texts.py").write_text(f"WORD = {value!r}\n")
    code = (
        "from shared.texts import WORD as first\nfrom workers.texts import WORD as second\nfrom ops import texts\n"
        "@on()\ndef run(event):\n    note(first, second, texts.WORD)\n"
    )
    env = settings(redis_url, tmp_path, ACKFIRST_HANDLERS=write_handlers(tmp_path, code))
    command = (installed.python.parent / "ackfirst", "worker")
    enqueue(redis_sync, make_envelope())
    run(*command, "--burst", cwd=tmp_path, env=env)
    assert calls(redis_sync) == ["salt rope anchor"]
    with subprocess.Popen(command, cwd=tmp_path, env=clean_environment(**env)) as worker:  # with a supervisor
        enqueue(redis_sync, make_envelope())
        try:
            wait_until(lambda: calls(redis_sync) == ["salt rope anchor"] * 2, timeout=30)
        finally:
            worker.terminate()
    assert worker.returncode == 0
