"""What pyproject.toml cannot say: which packages there are below the rooms, and which files in them are Evennia's."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOMS = ("agent", "commands", "configs", "server", "typeclasses", "world")

#: What Evennia's game template has in these folders; `make setup` lays it here, and it belongs to no distribution.
STOCK = {
    "commands": {"__init__", "command", "default_cmdsets"},
    "server": {"__init__"},
    "typeclasses": {"__init__", "accounts", "channels", "characters", "exits", "objects", "rooms", "scripts"},
    "world": {"__init__", "batch_cmds", "help_entries", "prototypes"},
}


class OwnModules(build_py):
    """Leaves Evennia's stock files out of a wheel."""

    def find_package_modules(self, package, package_dir):
        stock = STOCK.get(package.removeprefix("uniwizard."), set())
        return [entry for entry in super().find_package_modules(package, package_dir) if entry[1] not in stock]


def packages():
    for room in ROOMS:
        yield f"uniwizard.{room}"
        for folder in sorted(Path(room).rglob("*")):
            own = folder.is_dir() and any(folder.glob("*.py")) and folder != Path("server/conf")
            if own and "__pycache__" not in folder.parts:
                yield "uniwizard." + ".".join(folder.parts)


setup(packages=list(packages()), cmdclass={"build_py": OwnModules})
