"""Practice: simulated backends that speak the four real wire formats over real HTTP, always labelled as practice.

    server = PracticeServer(reactor)
    server.start()                                # "http://127.0.0.1:40123"
    server.url_for(backend)                       # stands in for backend.url, whatever its key and api
    server.set_scenario("claude", "refuse")          # from now on, claude says no
    server.seen["claude"].count                   # requests so far
    await server.stop()

Every answer begins with "[practice]" and names a model that begins with "practice/", so nobody takes it for a mind.
``python -m agent.practice`` runs the same server alone and prints where each api is found. What it says is in
configs/practice.yaml.

    script     what to say: replies, refusals, empty talk
    sums       sums, worked out
    facts      dates and units, worked out
    looking    a yes or no about a work that is shown
    samples    the smallest instance of a JSON Schema
    tools      which tool to call, and with what
    responses  how each api wraps it: answers, calls, errors, lists of models
    server     the HTTP server and its scenes
"""

from .server import PracticeServer, Scenario, Seen, practised
from .sums import sum_in

__all__ = ["PracticeServer", "Scenario", "Seen", "practised", "sum_in"]
