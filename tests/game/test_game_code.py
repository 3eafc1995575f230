"""What a game's code asks is counted and booked as a player's is; and all rooms of a game share what is spent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import pytest
from browser import Browser
from fake_llm import FakeLLMThread, silent
from wired import HASTE, address, all_said, config, says, think, until, wired

from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import Telnet

LIMIT = 12
QUOTA = {"quota": [{"limit": LIMIT, "unit": "requests", "per": "month"}]}
FIND = "from uniwizard.world import routers, thinker; r = routers.find()"


@pytest.fixture(scope="module")
def game(provider: FakeLLMThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Game]:
    budgets = HASTE + "UNIWIZARD_BUDGETS = {'game': {'usd': 1.0, 'per': 'month'}}\n"
    directory = tmp_path_factory.mktemp("shared")
    with wired(directory, config(QUOTA), budgets, UPSTREAM=address(provider)) as game:
        yield game


def py(session: Telnet, code: str, expected: str | re.Pattern[str] = "done") -> str:
    session.send(f"py {code}; print('d' + 'one')")
    return session.expect(expected)


def test_what_a_script_asks_is_booked_to_whom_it_is_asked_for(
    wizard: Telnet, game: Game, upstream: FakeLLMThread
) -> None:
    told = "addBoth(lambda _, say=self.msg: say('an' + 'swered'))"
    py(wizard, f"{FIND}; r.call_with_fallback('How do tides work?', who=self).{told}", "answered")
    py(wizard, f"{FIND}; r.call('one', 'How do tides work, again?').{told}", "answered")
    rows = game.python(
        "from uniwizard.world.ledger.models import Attempt\n"
        "print([row.asker for row in Attempt.objects.order_by('id')])"
    )
    name = game.superuser.name
    assert rows.strip() == f"['{name} through game code', 'game code']"


def test_an_edit_of_an_attribute_is_taken_as_far_as_it_is_right_and_the_page_says_what_was_wrong(
    wizard: Telnet, game: Game
) -> None:
    found = "from evennia.scripts.models import ScriptDB\nprint(ScriptDB.objects.get(db_key='backend_router').id)"
    script = int(game.python(found))
    for wrong, said in (
        ("{'disabled': 'no', 'fails': 2}", "disabled: is not True or False"),
        ("{'cooldown_until': 99999999999}", "cooldown_until: is not a number from -1 to"),
        ("'nonsense'", "is not a dict"),
        ("{'stat': 'open'}", "stat: is unknown; allowed: attempts, by_kind"),
    ):
        py(wizard, f"{FIND}; r.attributes.add('one', {wrong}, category='health'); print(r.heed_edits())", said)
    py(wizard, f"{FIND}; one = r.brain.state('one'); print([one.fails, one.disabled])", "[2, False]")
    with Browser(game.web_url) as browser:
        browser.login(game.superuser.name, game.superuser.password)
        path = f"/admin/scripts/scriptdb/{script}/change/"
        page = browser.get(path).text
        fields = dict(re.findall(r'<input type="(?:text|hidden|number)" name="([^"]+)" value="([^"]*)"', page))
        areas = re.findall(r'<textarea name="([^"]+)"[^>]*>\s*(.*?)</textarea>', page, re.DOTALL)
        selects = re.findall(r'<select name="([^"]+)"[^>]*>(.*?)</select>', page, re.DOTALL)
        picked = {name: re.findall(r'value="([^"]*)" selected', options) for name, options in selects}
        chosen = [(name, values[0]) for name, values in picked.items() if values]
        fields = {name: unescape(value) for name, value in (*fields.items(), *areas, *chosen)}
        fields |= dict.fromkeys(re.findall(r'<input type="checkbox" name="([^"]+)"[^>]*\bchecked', page), "on")
        fields.pop("csrfmiddlewaretoken", None)
        (number,) = (
            name.split("-attr_key")[0] for name, value in fields.items()
            if name.endswith("-attr_key") and value == "one" and fields[name.replace("_key", "_category")] == "health"
        )  # fmt: skip
        value = fields[f"{number}-attr_value"]
        assert value.count("\n") > 3, "a key a line"
        for written, fault in (
            ("{'disabled': 'no'", "line 1, at"),
            ("['disabled']", "a backend's state is a dict"),
            (value.replace("'disabled': False", "'disabled': 'no'"), "disabled: is not True or False"),
        ):
            fields[f"{number}-attr_value"] = written
            shown = browser.submit(path, **fields, _continue="Save").text
            assert fault in unescape(shown), re.findall(r"errorlist.*?</ul>", shown, re.DOTALL)
        fields[f"{number}-attr_value"] = value.replace("'disabled': False", "'disabled': True")
        browser.submit(path, **fields, _continue="Save")
        py(wizard, f"{FIND}; print([r.heed_edits(), r.brain.state('one').disabled])", "[[], True]")
        fields[f"{number}-attr_value"] = value
        browser.submit(path, **fields, _continue="Save")
        py(wizard, f"{FIND}; print([r.heed_edits(), r.brain.state('one').disabled])", "[[], False]")


def test_the_page_for_a_new_script_makes_none_and_a_row_without_a_typeclass_ends_no_start(
    wizard: Telnet, game: Game
) -> None:
    count = "from evennia.scripts.models import ScriptDB\nprint(ScriptDB.objects.count())"
    before = game.python(count)
    with Browser(game.web_url) as browser:
        browser.login(game.superuser.name, game.superuser.password)
        assert "Add Script" in browser.get("/admin/scripts/scriptdb/add/").text
    assert game.python(count) == before
    # As Evennia's own page makes it.
    bare = int(game.python("from evennia.scripts.models import ScriptDB\nx = ScriptDB(); x.save(); print(x.id)"))
    log = game.directory / "server" / "logs" / "server.log"
    seen = len(log.read_text())
    game.reload()
    until(lambda: f"script #{bare} has no typeclass" in log.read_text()[seen:], 20)
    assert "at_server_start" not in log.read_text()[seen:]
    assert "Traceback" not in log.read_text()[seen:]
    py(wizard, f"from evennia.scripts.models import ScriptDB; ScriptDB.objects.get(id={bare}).delete()")


def test_what_the_end_of_the_server_cuts_off_is_asked_again_and_what_is_cancelled_is_not(
    wizard: Telnet, game: Game, upstream: FakeLLMThread
) -> None:
    (game.directory / "world" / "later.py").write_text(
        "from evennia.utils import logger\n"
        "def go_on(who, outcome, note):\n"
        "    logger.log_info(f'later: {who.key} {outcome.text} {note}')\n"
    )
    upstream.default = silent()
    while upstream.arrived.acquire(blocking=False) or upstream.left.acquire(blocking=False):
        pass
    ask = "thinker.ask(self, '{}', pin='one', resume='world.later.go_on', note={{'for': 'a test'}})"
    py(wizard, f"{FIND}; a = {ask.format('Let go of this.')}; a.addErrback(lambda _: None); self.ndb.a = a")
    assert upstream.arrived.acquire(timeout=20)
    py(wizard, "self.ndb.a.cancel()")
    assert upstream.left.acquire(timeout=20), "the connection was not closed"
    py(wizard, f"{FIND}; self.ndb.b = {ask.format('How do tides work?')}")
    assert upstream.arrived.acquire(timeout=20)
    game.kill9()
    upstream.default = says("By the moon.")
    game.start()
    log = game.directory / "server" / "logs" / "server.log"
    until(lambda: "By the moon. {'for': 'a test'}" in log.read_text(), 60)
    assert f"later: {game.superuser.name} By the moon." in log.read_text()
    assert log.read_text().count("later: ") == 1


def test_two_workshops_never_ask_more_than_the_one_limit(wizard: Telnet, upstream: FakeLLMThread) -> None:
    wizard.send("dig/teleport Annex = annex,home")
    all_said(wizard)
    py(wizard, "evennia.create_script('uniwizard.typeclasses.backend_router.BackendRouter', obj=here)")
    py(wizard, "here.scripts.get('backend_router')[0].db.prompts = {'knowledge': 'Answer in rhyme.'}")
    before = len([request for request in upstream.requests["one"] if request.method == "POST"])
    answered = 0
    for number in range(LIMIT):
        if number == 1:
            wizard.send("home")
            all_said(wizard)
        shown = think(wizard, f"How do tides work, number {number}?")
        answered += "All is well." in shown
    asked = [request for request in upstream.requests["one"] if request.method == "POST"]
    assert len(asked) == LIMIT
    assert answered == LIMIT - before
    assert any("Answer in rhyme." in request.everything for request in asked[before : before + 1])
    assert not any("Answer in rhyme." in request.everything for request in asked[before + 1 :])
    py(wizard, f"{FIND}; print(f'shared: {{r.brain is routers.all_awake()[-1].brain}}')", "shared: True")
