"""Run the practice backends alone: ``python -m agent.practice [--port N] [--host H]``; Ctrl-C ends it."""

from __future__ import annotations

import argparse

from twisted.internet import reactor
from twisted.internet.error import CannotListenError

from ..core.backend import APIS, Backend
from .server import PracticeServer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m agent.practice", description="Simulated backends, for practice.")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes any free port")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--scene", action="append", default=[], metavar="KEY=SCENE", help="such as claude=refuse")
    options = parser.parse_args()
    server = PracticeServer(reactor, options.port, options.host)
    for setting in options.scene:
        key, _, word = setting.partition("=")
        try:
            server.set_scenario(key, word)
        except ValueError as error:
            parser.error(str(error))
    try:
        print(f"practice  {server.start()}", flush=True)
    except CannotListenError as error:
        parser.exit(1, f"{error}\n")
    for api in APIS:
        print(f"{api:<9} {server.url_for(Backend(api, api, '', ''))}", flush=True)
    reactor.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
