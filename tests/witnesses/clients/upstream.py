"""A provider that answers as a model would: OpenAI's chat completions, scripted by what it is asked.

    with Upstream() as upstream: ...       # upstream.url("a"); upstream.dies("a", after=1)

It calls tools that fit, heeds ``tool_choice``, ``response_format`` and ``max_tokens``, refuses what is named so, writes
6,000 tokens where a long answer is wanted, and as a coding agent's model it reads a file and edits it.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from uniwizard.agent.practice.samples import sample

TIDES = "The moon pulls on the water, and the earth turns below it."
REFUSAL = "I'm sorry, but I can't help with that request."
#: About six thousand tokens: a word and a number each.
LONG = " ".join(f"line {number}" for number in range(1, 3001))
#: What the agents' task is: one line of one file.
BEFORE, AFTER = "Hello, wrld!", "Hello, world!"
_PATH = re.compile(r"(/[\w./-]*greeting\.py)")

Json = dict[str, Any]


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients and gateways hang up; that is no error of ours."""


class Upstream:
    """Serves on a free port of this machine. ``asked`` counts the requests, by key."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.bodies: list[Json] = []
        self._dies: dict[str, int] = {}
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                self._send(200, {"object": "list", "data": []})

            def do_POST(self) -> None:
                key = self.path.split("/")[1]
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                upstream.asked[key] += 1
                upstream.bodies.append(body)
                if upstream.asked[key] > upstream._dies.get(key, 10**9):
                    # In the middle of an answer: the connection is gone.
                    self.send_response(200)
                    self.send_header("content-length", "5000")
                    self.end_headers()
                    self.wfile.write(b'{"id": "chatcmpl-1", "choi')
                    self.close_connection = True
                    return
                message, finish = answer(body)
                if body.get("stream"):
                    self._stream(message, finish, body)
                else:
                    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
                    whole = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": f"scripted-{key}"}
                    self._send(200, {**whole, "choices": [choice], "usage": usage(message)})

            def _stream(self, message: Json, finish: str, body: Json) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
                for delta in deltas(message):
                    self._event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
                self._event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
                if (body.get("stream_options") or {}).get("include_usage"):
                    self._event({**head, "choices": [], "usage": usage(message)})
                self.wfile.write(b"data: [DONE]\n\n")
                self.close_connection = True

            def _event(self, event: Json) -> None:
                self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())

            def _send(self, status: int, node: Json) -> None:
                data = json.dumps(node).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = _Quiet(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> Upstream:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url(self, key: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{key}/v1"

    def dies(self, key: str, after: int) -> None:
        """From its ``after``-th request on, ``key`` breaks off in the middle of every answer."""
        self._dies[key] = self.asked[key] + after


def usage(message: Json) -> Json:
    said = len(message.get("content") or "") // 4 + 10 * len(message.get("tool_calls") or ())
    return {"prompt_tokens": 100, "completion_tokens": said + 1, "total_tokens": 101 + said}


def deltas(message: Json) -> list[Json]:
    found: list[Json] = [{"role": "assistant", "content": ""}]
    found += ({"content": word} for word in re.findall(r"\S+\s*", message.get("content") or ""))
    for index, call in enumerate(message.get("tool_calls") or ()):
        found.append({"tool_calls": [{"index": index, **call}]})
    return found


def answer(body: Json) -> tuple[Json, str]:
    """The message that a model would give, and why it ends."""
    turns = body["messages"]
    tools = {tool["function"]["name"]: tool["function"] for tool in body.get("tools") or ()}
    said = "\n".join(text_of(turn) for turn in turns if turn["role"] == "user")
    last = turns[-1]
    if (edit := editing(tools, turns, said)) is not None:
        return edit
    form = body.get("response_format") or {}
    if form.get("type") == "json_schema":
        return {"content": json.dumps(sample(form["json_schema"]["schema"]))}, "stop"
    if form.get("type") == "json_object":
        return {"content": '{"name": "Vistula"}'}, "stop"
    if last["role"] == "tool" and body.get("tool_choice") in (None, "auto"):
        final = next((name for name in tools if name.startswith("final")), None)
        if final is None:
            return {"content": f"The tool says: {text_of(last)}"}, "stop"
        return call_of(final, arguments(tools[final], text_of(last)), len(turns))
    choice = body.get("tool_choice")
    named = choice["function"]["name"] if isinstance(choice, dict) else None
    question = text_of(last).lower()
    if tools and (named or choice == "required" or "weather" in question):
        done = any(turn["role"] == "tool" for turn in turns)
        name = named or next((n for n in tools if ("final" in n) == done), next(iter(tools)))
        return call_of(name, arguments(tools[name], "Ulm"), len(turns))
    if "refuse" in question:
        return {"content": REFUSAL}, "stop"
    if "long" in question:
        limit = body.get("max_tokens") or body.get("max_completion_tokens")
        words = LONG.split(" ")
        return (
            ({"content": " ".join(words[:limit])}, "length")
            if limit and limit < len(words)
            else ({"content": LONG}, "stop")
        )
    return {"content": TIDES}, "stop"


def text_of(turn: Json) -> str:
    content = turn.get("content") or ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def arguments(function: Json, word: str) -> Json:
    made = sample(function.get("parameters") or {})
    made = made if isinstance(made, dict) else {}
    return {name: word if value == "practice" else value for name, value in made.items()}


def call_of(name: str, asked: Json, number: int) -> tuple[Json, str]:
    function = {"name": name, "arguments": json.dumps(asked)}
    call = {"id": f"call_scripted{number:04d}", "type": "function", "function": function}
    return {"content": None, "tool_calls": [call]}, "tool_calls"


def editing(tools: Json, turns: list[Json], said: str) -> tuple[Json, str] | None:
    """What a coding agent's model does next: read the file, edit it, and say so. None where nothing is to be edited."""
    found = _PATH.search(said)
    whole = said + "\n".join(text_of(turn) for turn in turns if turn["role"] == "system")
    if "greeting.py" in said and "SEARCH/REPLACE" in whole:  # aider
        block = (
            f'greeting.py\n```\n<<<<<<< SEARCH\nprint("{BEFORE}")\n=======\nprint("{AFTER}")\n>>>>>>> REPLACE\n```\n'
        )
        return {"content": f"The word is mended.\n\n{block}"}, "stop"
    if found is None or "greeting" not in said:
        return None
    path, results = found[1], [turn for turn in turns if turn["role"] == "tool"]
    for read, edit, names in _EDITORS:
        if edit in tools:
            file, old, new = names
            steps = [(read, {file: path}), (edit, {file: path, old: BEFORE, new: AFTER})]
            if edit == "replace":
                steps[1][1]["instruction"] = "Mend the word."
            return _step(steps, results, len(turns), tools)
    command = f"sed -i 's/{BEFORE}/{AFTER}/' {path}"
    for shell, asked in (
        ("shell", {"command": ["bash", "-lc", command]}),
        ("exec_command", {"cmd": command}),
        ("shell_command", {"command": command}),
    ):
        if shell in tools:
            return _step([(shell, asked)], results, len(turns), tools)
    return None


#: Reading and editing tools of the agents, and what they call the file, the old text and the new.
_EDITORS = (
    ("Read", "Edit", ("file_path", "old_string", "new_string")),
    ("read", "edit", ("filePath", "oldString", "newString")),
    ("read_file", "replace", ("file_path", "old_string", "new_string")),
)


def _step(steps: list[tuple[str, Json]], results: list[Json], number: int, tools: Json) -> tuple[Json, str]:
    if len(results) < len(steps):
        return call_of(*steps[len(results)], number)
    return {"content": "Done: the greeting is spelled as it should be."}, "stop"
