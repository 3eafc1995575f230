"""The command line in a process of its own that need not import anything, being forked from one that has.

    done = uniwizard("check", "--config", str(path))
    done.returncode, done.stdout, done.stderr

What a run takes up (extensions, kinds, strategies) ends with it, as in a new process, which takes ten times as long.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path
from subprocess import CompletedProcess

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["pytest", "uniwizard.agent.__main__"])


def uniwizard(*arguments: str) -> CompletedProcess[str]:
    """``uniwizard ARGUMENTS`` without any key in its environment."""
    with tempfile.TemporaryDirectory() as directory:
        told = Path(directory, "stdout"), Path(directory, "stderr")
        process = _FORKING.Process(target=_run, args=(arguments, *told))
        process.start()
        process.join(120)
        if process.exitcode is None:
            process.kill()
        return CompletedProcess(arguments, process.exitcode or 0, *(file.read_text("utf-8") for file in told))


def _run(arguments: tuple[str, ...], out: Path, err: Path) -> None:
    from uniwizard.agent.__main__ import main

    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        del os.environ[name]
    with out.open("w", encoding="utf-8") as sys.stdout, err.open("w", encoding="utf-8") as sys.stderr:
        status = main(list(arguments))
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    sys.exit(status)
