"""The distribution: built as a wheel and installed into an empty environment, it is the brain, and knows no Evennia.

The environment gets links to what the wheel says it needs, and to nothing else that is installed here; so this asks no
network, and shows that nothing more is needed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from uniwizard.server.game.install import _NEEDED

ROOT = Path(__file__).resolve().parents[2]
KEYS = re.compile(r"(_API_KEY|_KEY|_TOKEN)$")


def needed(requirements: list[str], seen: dict[str, metadata.Distribution]) -> dict[str, metadata.Distribution]:
    """The installed distributions that these requirements come to, without extras of theirs that nobody asked for."""
    for requirement in requirements:
        matched = re.match(r"([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?[^;]*(?:;(.*))?", requirement)
        assert matched is not None
        name, wanted, marker = matched[1].lower().replace("_", "-"), matched[2] or "", matched[3] or ""
        if "extra ==" in marker or name in seen:
            continue
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # Its marker is for another platform.
        seen[name] = found
        extras = {extra.strip() for extra in wanted.split(",") if extra.strip()}
        inner = []
        for below in found.requires or []:
            extra = re.search(r"extra == ['\"]([^'\"]+)['\"]", below)
            if extra is None or extra[1] in extras:
                inner.append(below.split(";")[0] if extra else below)
        needed(inner, seen)
    return seen


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of what git tracks here, whatever game was played in this checkout."""
    source = tmp_path_factory.mktemp("source")
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        if name and (ROOT / name).is_file() and not name.startswith("tests/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    # A stock file of Evennia's, as a game that is played here has them.
    (source / "typeclasses" / "rooms.py").write_text("raise ImportError('not ours')")
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(out)]
    subprocess.run([*build, str(source)], check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that holds the wheel and what it needs."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False)
    library = place / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    python = str(place / "bin" / "python")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", str(wheel)],
        check=True,
        capture_output=True,
    )
    (said,) = library.glob("uniwizard-*.dist-info")
    requires = metadata.PathDistribution(said).requires or []
    for distribution in needed(requires, {}).values():
        for file in distribution.files or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (library / top).exists():
                (library / top).symlink_to(distribution.locate_file(top))
    assert not (library / "evennia").exists()
    assert not (library / "django").exists()
    return place / "bin"


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Iterator[object]:
    clean = {name: value for name, value in os.environ.items() if not KEYS.search(name) and name != "PYTHONPATH"}

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        whole = [str(installed / "uniwizard"), *arguments]
        return subprocess.run(whole, cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=60)

    return command


def test_the_wheel_holds_the_rooms_and_their_data_and_none_of_evennias_files(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "uniwizard/agent/py.typed",
        "uniwizard/agent/router.py",
        "uniwizard/configs/backends.yaml",
        "uniwizard/configs/judge/weights.json",
        "uniwizard/world/SOUL.md",
        "uniwizard/world/ledger/migrations/0001_initial.py",
        "uniwizard/world/ledger/templates/admin/ledger/brain.html",
        "uniwizard/typeclasses/workshop.py",
    } <= names
    assert "uniwizard/typeclasses/rooms.py" not in names
    assert not [name for name in names if name.startswith(("uniwizard/server/conf", "tests"))]


def test_install_looks_for_all_that_the_wheel_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["game"]]
    assert {re.split(r"[<>=]", each)[0] for each in needed} == set(_NEEDED.values())


def test_installed_it_checks_its_config(run) -> None:  # type: ignore[no-untyped-def]
    done = run("check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "6 backends" in done.stdout


def test_installed_it_routes(run) -> None:  # type: ignore[no-untyped-def]
    done = run("route", "--json", "review this diff for bugs")
    assert json.loads(done.stdout)["kind"] == "code_review", done.stderr


def test_installed_it_thinks_in_practice(run) -> None:  # type: ignore[no-untyped-def]
    done = run("think", "--json", "What is 17*23?")
    result = json.loads(done.stdout)
    assert (result["text"], result["practice"]) == ("[practice] 17*23 = 391.", True), done.stderr


def test_installed_it_serves(installed: Path, tmp_path: Path) -> None:
    import httpx

    clean = {name: value for name, value in os.environ.items() if not KEYS.search(name) and name != "PYTHONPATH"}
    command = [str(installed / "uniwizard"), "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, env=clean, stdout=subprocess.PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            address = re.search(r"http://\S+/v1", served.stdout.readline())
            assert address is not None
            asked = {"model": "auto", "messages": [{"role": "user", "content": "What is 2+2?"}]}
            said = httpx.post(f"{address[0]}/chat/completions", json=asked, timeout=30).json()
        finally:
            served.terminate()
    assert "4" in said["choices"][0]["message"]["content"]
