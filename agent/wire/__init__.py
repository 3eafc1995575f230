"""The four wire formats, without I/O: a task becomes bytes, bytes become an answer or a failure.

    request = encode(Task("How do tides work?"), backend, system="Answer plainly.")
    ...                                                  # agent.transport.http carries it and brings a response
    answer = decode(backend, response.status_code, response.headers, response.content)

The same as a stream, piece by piece::

    request = encode(task, backend, system, stream=True)
    decoder = stream_decoder(backend)
    for data in chunks:                                  # of a 2xx, cut anywhere
        print("".join(decoder.feed(data)))
    answer = decoder.finish()                            # raises AttemptFailed unless it is whole

One module per api (:mod:`~agent.wire.openai`, :mod:`~agent.wire.anthropic`, :mod:`~agent.wire.gemini`,
:mod:`~agent.wire.ollama`) knows that provider's names and nothing else; each is a :class:`Codec`. What they share is
:mod:`agent.wire.body` (JSON out and in), :mod:`agent.wire.errors` (error responses), :mod:`agent.wire.framing` (events
out of bytes) and :mod:`agent.wire.stream` (an answer out of events). Here they are put together.

A refusal or a filter?
    A model, or a classifier beside it, that declines in a field made for it gives an :class:`~agent.core.answer.Answer`
    with ``declined`` set: the judge sees it and another backend may well help. A provider's filter that lets nothing
    through at all, question or answer, raises ``content_filter``: that is the house rule of the provider, it is told
    to the caller and not shopped around. Each module says where its provider draws that line.

Options
    ``backend.options`` is laid over the finished body as a JSON Merge Patch (RFC 7396): it has the last word, and a
    null takes a field away, as in ``temperature: null`` for models that refuse one.
"""

from .called import called
from .carried import dropped
from .request import WireRequest, encode, probe
from .response import decode, decode_probe
from .stream import StreamDecoder, stream_decoder

__all__ = [
    "StreamDecoder",
    "WireRequest",
    "called",
    "decode",
    "decode_probe",
    "dropped",
    "encode",
    "probe",
    "stream_decoder",
]
