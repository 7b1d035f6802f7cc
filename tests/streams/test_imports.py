"""Importing a module does nothing: no socket, thread, process or file, no environment, clock, App, metric or logger."""

import ast
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import models
import streams

#: Runs before anything else is imported: notes every effect that code of ours brings about while it is being imported.
RECORDER = """
import json, logging, os, sys, threading, time
sys.argv = ["sidecart"]
NAMES = json.loads(os.environ.pop("TEST_MODULES"))
effects = []

#: Through these our own code reads the environment; a library that reads it for itself is its own affair.
WAYS = ("os", "collections.abc", "_collections_abc", "__main__")

def of_ours(is_direct):
    # The module of ours whose import is under way, if it is its own code, or a library's on its behalf, that runs.
    frame = sys._getframe(3)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.split(".")[0] in ("models", "streams"):
            return name
        if name == "importlib._bootstrap" or is_direct and name not in WAYS:
            return None
        frame = frame.f_back
    return None

def note(effect, is_direct=True):
    name = of_ours(is_direct)
    if name is not None:
        effects.append(f"{name}: {effect}")

WATCHED = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.mkdir", "os.putenv", "os.remove", "os.fork",
    "os.unsetenv", "shutil.", "tempfile.", "sqlite3.",
)

def audit(event, arguments):
    is_write = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if is_write or event.startswith(WATCHED):
        note(event, is_direct=False)

class Environment(type(os.environ)):
    def __getitem__(self, key):
        note(f"reads {key} from the environment")
        return super().__getitem__(key)
    def __setitem__(self, key, value):
        note(f"writes {key} to the environment")
        super().__setitem__(key, value)
    def __iter__(self):
        note("reads the environment")
        return super().__iter__()
    def __contains__(self, key):
        note(f"looks for {key} in the environment")
        return super().__contains__(key)

os.environ.__class__ = Environment
sys.addaudithook(audit)
for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter"):
    def clock(name=name, read=getattr(time, name)):
        note(f"reads the clock {name}")
        return read()
    setattr(time, name, clock)

start = threading.Thread.start
def start_noted(thread):
    note("starts a thread", is_direct=False)
    start(thread)
threading.Thread.start = start_noted

import importlib
for name in NAMES:
    importlib.import_module(name)

import gc
import faust, prometheus_client
apps = [repr(thing) for thing in gc.get_objects() if isinstance(thing, faust.App)]
collectors = [name for name in prometheus_client.REGISTRY._names_to_collectors if name.startswith("sidecart")]
# Faust gives the loggers of our subclasses a handler that does nothing.
handlers = [
    name
    for name, logger in logging.root.manager.loggerDict.items()
    if name.split(".")[0] in ("models", "streams")
    and not all(isinstance(handler, logging.NullHandler) for handler in getattr(logger, "handlers", ()))
]
print(json.dumps({"effects": effects, "threads": [thread.name for thread in threading.enumerate()], "apps": apps,
                  "collectors": collectors, "handlers": handlers, "root": len(logging.root.handlers),
                  "level": logging.root.level, "modules": sorted(sys.modules)}))
"""


def names_of(package: Any) -> list[str]:
    found = [module.name for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
    return [package.__name__, *(name for name in found if not name.endswith(".__main__"))]


def import_all(names: list[str], before: str = "") -> dict[str, Any]:
    """Import modules in a process of their own and return what happened meanwhile."""
    [folder] = streams.__path__
    ended = subprocess.run(
        [sys.executable, "-c", before + RECORDER],
        env={"TEST_MODULES": json.dumps(names), "PYTHONPATH": str(Path(folder).parent), "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    happened: dict[str, Any] = json.loads(ended.stdout)
    return happened


@cache
def imported() -> dict[str, Any]:
    return import_all(names_of(models) + names_of(streams))


def test_no_module_does_anything_when_it_is_imported() -> None:
    assert imported()["effects"] == []


def test_no_thread_app_metric_or_log_handler_is_there_after_the_import() -> None:
    happened = imported()
    assert happened["threads"] == ["MainThread"]
    assert happened["apps"] == [] and happened["collectors"] == []
    assert happened["handlers"] == [] and happened["root"] == 0 and happened["level"] == 30


def test_an_effect_would_be_seen(tmp_path: Path) -> None:
    effects = {
        "import os; os.environ.get('SIDECART_DATA')": "reads SIDECART_DATA from the environment",
        "import os; os.getenv('HOME')": "reads HOME from the environment",
        "import os; os.environ['X'] = '1'": "writes X to the environment",
        "from time import time; NOW = time()": "reads the clock time",
        "import threading; threading.Thread(target=int).start()": "starts a thread",
        "import socket; socket.socket().close()": "socket.__new__",
        "import subprocess; subprocess.run(['true'])": "subprocess.Popen",
        "open('/dev/null', 'w').close()": "open",
    }
    package = tmp_path / "streams"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for number, line in enumerate(effects):
        (package / f"module_{number}.py").write_text(line)
    names = [f"streams.module_{number}" for number in range(len(effects))]
    seen = import_all(names, f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n")["effects"]
    for name, effect in zip(names, effects.values(), strict=True):
        assert f"{name}: {effect}" in seen


# -- layers

#: What `models` may not see, wherever in a module it is imported.
FORBIDDEN = {
    "aiokafka", "asyncio", "click", "confluent_kafka", "faust", "kafka", "mode", "os", "prometheus_client", "random",
    "rocksdict", "socket", "streams", "subprocess", "sys", "threading", "time",
}  # fmt: skip


def imports_of(package: Any) -> Iterator[tuple[str, str]]:
    """Yield (file, imported name) for every import of a package, the nested ones too."""
    [folder] = package.__path__
    for path in sorted(Path(folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path.name, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path.name} imports relatively"
                yield path.name, node.module or ""


def test_the_model_sees_no_kafka_clock_environment_or_thread() -> None:
    seen = {(file, name) for file, name in imports_of(models) if name.split(".")[0] in FORBIDDEN}
    # The simulated shop draws from a seeded generator of its own.
    assert {(file, name) for file, name in seen if not (name == "random" and "simul" in file)} == set()


def test_the_model_reads_no_clock_through_datetime() -> None:
    [folder] = models.__path__
    for path in sorted(Path(folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("now", "utcnow", "today", "environ", "getenv"), f"{path.name}: {node.attr}"


def test_the_model_is_imported_without_kafka_and_faust() -> None:
    loaded = {name.split(".")[0] for name in import_models()}
    assert not loaded & {"streams", "aiokafka", "kafka", "confluent_kafka", "mode", "rocksdict"}


def import_models() -> list[str]:
    [folder] = models.__path__
    program = "import json, sys, importlib\nfor name in json.loads(sys.argv[1]): importlib.import_module(name)\n"
    ended = subprocess.run(
        [sys.executable, "-c", program + "print(json.dumps(sorted(sys.modules)))", json.dumps(names_of(models))],
        env={"PYTHONPATH": str(Path(folder).parent)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    found: list[str] = json.loads(ended.stdout)
    return found


def test_commands_are_imported_without_faust() -> None:
    """`sidecart --help` and a refused flag are quick: Faust takes half a second."""
    program = "import streams.cli.main, streams.cli.worker, streams.cli.tail, sys; print('faust' in sys.modules)"
    [folder] = streams.__path__
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(Path(folder).parent)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout == "False\n"
