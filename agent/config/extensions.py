"""What a game or a package adds to the brain, each in one file that is registered once.

    take_up([Path("world/kinds.yaml")], faults)     # what is wrong with any of them is one Fault each
    files_of("kinds")                               # (Path("world/kinds.yaml"),)

A YAML file says by its keys what it adds: ``kinds:`` kinds of work, ``moments:`` or ``failures:`` words of the voice,
``language:`` with ``phrases:`` the judge's phrases, ``actions:`` what can be done for a goal. A Python file speaks a
wire format: it defines ``API``, the format's name, and what :class:`agent.wire.codecs.Codec` asks of a module. Or it is
a strategy: it defines ``STRATEGY``, a class as in ``agent/strategies/``, whose ``name`` is what ``use`` says, and
``OPTIONS`` if it has any, a JSON Schema for each. Or it has ``ACTIONS`` or ``CHECKS`` for goals
(:mod:`agent.goals.actions`).

Registered are: the ``extensions:`` list of the backends file (paths beside it), the entry points of the group
``uniwizard.extensions`` (a path, or a module such as a Python file would be), and in a game the setting
``UNIWIZARD_EXTENSIONS``. What is taken up stays for as long as the process lives; a changed file counts at the next
start.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from jsonschema import Draft202012Validator

from ..core.backend import APIS
from .entry_points import declared
from .faults import ConfigError, Fault
from .routes import STRATEGIES, add_strategy
from .yaml_files import read_yaml, why_unreadable

#: What a wire format's module has; see :class:`agent.wire.codecs.Codec`.
CODEC = ("PROBE", "path", "credentials", "body", "answer", "complaint", "assembly")
#: What a YAML file adds, by the key that says so.
_BY_KEY = {
    "kinds": "kinds", "moments": "voice", "failures": "voice", "features": "voice", "phrases": "phrases",
    "actions": "actions",
}  # fmt: skip
#: What a Python file has that adds to goals.
_FOR_GOALS = ("ACTIONS", "CHECKS")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")

_files: dict[Path, str] = {}
_apis: dict[str, ModuleType] = {}
_code: list[ModuleType] = []
_strategies: dict[str, Any] = {}
_packaged = False
_left_out: frozenset[Path] = frozenset()


def files_of(what: str) -> tuple[Path, ...]:
    """The YAML files that add ``kinds``, ``voice`` or ``phrases``, in the order in which they were taken up."""
    return tuple(path for path, adds in _files.items() if adds == what)


def known_apis() -> tuple[str, ...]:
    """Every wire format that a backend may speak."""
    return (*APIS, *_apis)


def added_api(name: str) -> Any:
    """The module that speaks the wire format ``name``. Raises KeyError."""
    return _apis[name]


def code() -> tuple[ModuleType, ...]:
    """The Python files that add to goals, in the order in which they were taken up."""
    return tuple(_code)


def added_strategy(name: str) -> Any:
    """The class of the added strategy ``name``; None where there is none."""
    return _strategies.get(name)


def leave_out(files: Iterable[str | Path]) -> list[Path]:
    """Do without those of ``files`` that are extensions, until this is called again; which these are.

    For a program that goes on when a file has a fault: nobody reads it then, and :func:`take_up` passes it over.
    """
    global _left_out
    # A Python file with a fault is not registered, and neither is the backends file.
    known = {*_files, *_left_out}
    _left_out = frozenset(path for path in map(Path, files) if path in known or path.suffix == ".py")
    for path in _left_out:
        _files.pop(path, None)
    return sorted(_left_out)


def take_up(files: Iterable[Path], faults: list[Fault]) -> None:
    """Register ``files``, and whatever installed packages declare; what cannot be used is added to ``faults``."""
    global _packaged
    if not _packaged:
        _packaged = True
        for point in declared("extensions"):
            try:
                found = point.load()
            except Exception as error:
                faults.append(Fault(point.group, 0, point.name, f"{point.value} cannot be loaded: {error}"))
                continue
            if isinstance(found, ModuleType):
                faults += _module(found, f"{point.group}: {point.name}")
            else:
                faults += _take_up(Path(found))
    for file in files:
        faults += _take_up(file)


def _take_up(path: Path) -> Iterator[Fault]:
    path = path.resolve()
    if path in _files or path in _left_out:
        return
    if path.suffix == ".py":
        yield from _python(path)
        return
    try:
        document, _ = read_yaml(path, number_keys=True)
    except ConfigError as error:
        yield from error.faults
        return
    keys = document if isinstance(document, dict) else {}
    adds = next((adds for key, adds in _BY_KEY.items() if key in keys), None)
    if adds is None:
        allowed = "kinds, moments, failures, phrases or actions at its beginning"
        yield Fault(str(path), 0, "", "says nothing of what it adds", allowed)
    else:
        _files[path] = adds


def _python(path: Path) -> Iterator[Fault]:
    spec = importlib.util.spec_from_file_location(f"uniwizard_extension_{path.stem}", path)
    try:
        if spec is None or spec.loader is None:
            raise ImportError("is no Python file")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except OSError as error:
        yield Fault(str(path), 0, "", why_unreadable(error), "a Python file")
        return
    except SyntaxError as error:
        yield Fault(str(path), error.lineno or 0, "", f"is not Python: {error.msg}")
        return
    except Exception as error:
        yield Fault(str(path), 0, "", f"cannot be imported: {type(error).__name__}: {error}")
        return
    wrong = list(_module(module, str(path)))
    if not wrong:
        _files[path] = "code"
    yield from wrong


def _module(module: ModuleType, where: str) -> Iterator[Fault]:
    if hasattr(module, "STRATEGY"):
        yield from _strategy(module, where)
    elif not hasattr(module, "API") and any(hasattr(module, name) for name in _FOR_GOALS):
        _code.append(module)
    else:
        yield from _api(module, where)


def _strategy(module: ModuleType, where: str) -> Iterator[Fault]:
    made, options = module.STRATEGY, getattr(module, "OPTIONS", {})
    name = getattr(made, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield Fault(where, 0, "STRATEGY", "has no name", "the word that `use` says, in lower-case letters")
    elif name in STRATEGIES or name == "auto":
        yield Fault(where, 0, "STRATEGY", f"{name} is there already", "another name")
    elif not isinstance(made, type) or getattr(made, "__abstractmethods__", None) or not hasattr(made, "build"):
        yield Fault(where, 0, f"STRATEGY {name}", "is no whole strategy", "a class as in agent/strategies/base.py")
    elif not isinstance(options, dict) or not all(map(_is_schema, options.values())):
        yield Fault(where, 0, f"OPTIONS of {name}", "does not fit", "a JSON Schema for each option")
    else:
        _strategies[name] = made
        add_strategy(name, options)


def _is_schema(said: Any) -> bool:
    try:
        Draft202012Validator.check_schema(said)
    except Exception:
        return False
    return isinstance(said, dict)


def _api(module: ModuleType, where: str) -> Iterator[Fault]:
    name = getattr(module, "API", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield Fault(where, 0, "API", "is missing", "the name of the wire format, in lower-case letters")
    elif name in APIS:
        yield Fault(where, 0, "API", f"{name} is built in", "another name")
    elif lacking := [part for part in CODEC if not hasattr(module, part)]:
        yield Fault(where, 0, f"API {name}", f"lacks {', '.join(lacking)}", "all that agent/wire/codecs.py names")
    else:
        _apis[name] = module
