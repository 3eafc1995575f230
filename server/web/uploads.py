"""``/picture/<token>``: the page on which a player drops a picture for the next question. The token works once.

It stands in Evennia's server, where the players are; the portal's web proxy leads there.
"""

from __future__ import annotations

import secrets
from typing import Any

from evennia.objects.models import ObjectDB
from twisted.web.resource import Resource

from uniwizard.agent.gateway import Rejected
from uniwizard.world import pictures
from uniwizard.world.mark import said
from uniwizard.world.soul import voice

_GONE = "This link has been used, or is too old. think/see gives you a new one."
#: Bytes of pictures on their way that are held at once.
_HELD = 64 * 1024 * 1024

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>A picture for the bench</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style nonce="{nonce}">
body {{ background: #191714; color: #e8e0cf; font: 16px/1.5 sans-serif; margin: 0; display: grid; place-items: center;
min-height: 100vh }} label {{ display: block; border: 3px dashed #7a6f4f; border-radius: 12px; padding: 3em 2em;
max-width: 24em; text-align: center; cursor: pointer }} label.over {{ border-color: #e8c96a }} input {{ display: block;
margin: 1.5em auto 0 }} p {{ min-height: 1.5em; text-align: center }} </style></head><body><main> <label
id="bench">Drop a picture here, or choose one.<br><small>JPEG, PNG, WebP or GIF, {most} MB at the most. Where and when
it was taken is taken out of it.</small><input id="file" type="file"
accept="image/jpeg,image/png,image/webp,image/gif"></label> <p id="told" role="status"></p></main> <script
nonce="{nonce}"> const bench = document.getElementById("bench"), told = document.getElementById("told"); async function
send(file) {{
  if (!file) return;
  told.textContent = "On its way ...";
  try {{
    const answer = await fetch(location.href, {{method: "POST", body: file}});
    told.textContent = await answer.text();
    if (answer.ok) bench.remove();
  }} catch (error) {{ told.textContent = "It did not arrive. Is the game still there?"; }}
}}
document.getElementById("file").addEventListener("change", event => send(event.target.files[0]));
for (const name of ["dragover", "dragleave", "drop"]) document.addEventListener(name, event => {{
  event.preventDefault();
  bench.classList.toggle("over", name === "dragover");
  if (name === "drop") send(event.dataTransfer.files[0]);
}});
</script></body></html>"""


class Uploads(Resource):
    """The parent of all tokens, and the keeper of the bodies that come with them."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies = self
        self._held = 0

    def screen(self, request: Any, method: bytes, path: bytes) -> Rejected | None:
        """Only whoever has a good link may send a body."""
        token = path.partition(b"?")[0].rpartition(b"/")[2].decode("ascii", "replace")
        return None if method != b"POST" or pictures.knows(token) else Rejected(404, _GONE)

    def hold(self, size: int) -> bool:
        """Count what is held of all pictures on their way."""
        if size > 0 and self._held + size > _HELD:
            return False
        self._held += size
        return True

    def take(self, request: Any) -> None:
        """Go on as twisted.web does; there is no form in it."""
        request.args = {}
        request.content.seek(0)
        request.process()

    def turn_away(self, request: Any, rejected: Rejected) -> None:
        """Say why not."""
        body = _told(request, rejected.status, rejected.message)
        request.setHeader(b"content-length", b"%d" % len(body))
        request.write(body)
        request.finish()

    def getChild(self, path: bytes, request: Any) -> Resource:
        return _Upload(path.decode("ascii", "replace"))


class _Upload(Resource):
    isLeaf = True

    def __init__(self, token: str):
        Resource.__init__(self)
        self._token = token

    def render_GET(self, request: Any) -> bytes:
        if not pictures.knows(self._token):
            return _told(request, 404, _GONE)
        nonce = secrets.token_urlsafe(12)
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"referrer-policy", b"no-referrer")
        policy = f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'"
        request.setHeader(b"content-security-policy", policy.encode())
        return _PAGE.format(nonce=nonce, most=pictures.LARGEST // 1024**2).encode()

    def render_POST(self, request: Any) -> bytes:
        if not pictures.knows(self._token):
            return _told(request, 404, _GONE)
        data = request.content.read(pictures.LARGEST + 1)
        try:
            kind, _ = pictures.checked(data)
        except pictures.Unusable as why:
            # The link stays good for another try.
            return _told(request, 415, str(why))
        player = ObjectDB.objects.filter(id=pictures.redeem(self._token)).first()
        if player is None:
            return _told(request, 404, "Whoever asked for this link is gone.")
        laid = pictures.lay(player, data)
        player.msg(text=(said(voice.say("picture_laid", why=laid)), {"type": "uniwizard"}))
        return _told(request, 200, f"The picture ({kind}) lies on the bench. Go back to the game and ask about it.")


def _told(request: Any, status: int, text: str) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    request.setHeader(b"cache-control", b"no-store")
    return text.encode()
