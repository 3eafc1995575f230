"""What a backend's api has no field for: what the task asks of an answer's making, and what is left out of it."""

from __future__ import annotations

from ..core.backend import Backend
from ..core.task import PLAIN, Task
from .codecs import codec_of


def dropped(task: Task, backend: Backend) -> tuple[str, ...]:
    """What ``task`` asks for and a request to ``backend`` cannot say, by the names of OpenAI's fields."""
    sampling = task.sampling
    if sampling is PLAIN and task.temperature is None:
        return ()
    carried = codec_of(backend.api).carries(backend)
    asked = {name: getattr(sampling, name) for name in _NAMES if name != "temperature"}
    asked["temperature"] = task.temperature
    # No thinking is what an api without it does anyway.
    none = {"effort": "none", "thinking": 0}
    return tuple(
        _NAMES[name]
        for name, value in asked.items()
        if value is not None and value != () and name not in carried and none.get(name) != value
    )


_NAMES = {
    "temperature": "temperature",
    "seed": "seed",
    "top_p": "top_p",
    "top_k": "top_k",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "effort": "reasoning_effort",
    "thinking": "thinking",
    "verbosity": "verbosity",
    "stop": "stop",
}
