"""The fake LLM server in a process of its own, so that no benchmark counts its work::

    python -m fake_llm SECONDS      # prints its port; answers every request SECONDS after its last byte

Who asks for a stream gets the same answer in twelve pieces, sent at once.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from twisted.internet import reactor

from .replies import Reply, completion, response
from .server import FakeLLM, Request
from .streams import chunk, sse, streamed

TEXT = (
    "The moon pulls on the water nearest to it a little harder than on the rest of"
    " the earth, and the earth turns below the two bulges that follow: two high tides a day."
)
WORDS = TEXT.split()
USAGE = {"prompt_tokens": 12, "completion_tokens": 40, "total_tokens": 52}
WHOLE = Reply(response(completion(TEXT, model="bench", usage=USAGE)))
PIECES = [" ".join(WORDS[start : start + 4]) + " " for start in range(0, len(WORDS), 4)]
STREAM = streamed(
    sse(
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": piece}) for piece in PIECES),
        chunk({}, "stop"),
        chunk(usage=USAGE),
        "[DONE]",
    )
)


def main() -> None:
    whole, stream = (replace(reply, after=float(sys.argv[1])) for reply in (WHOLE, STREAM))

    def reply_to(request: Request) -> Reply:
        # What was asked is of no further interest, and there will be many.
        server.requests.clear()
        server.log.clear()
        return stream if b'"stream":true' in request.body else whole

    server = FakeLLM(reactor, default=reply_to)
    print(server.port, flush=True)
    reactor.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
