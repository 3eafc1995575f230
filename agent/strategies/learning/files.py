"""Trained models as files: JSON, with arrays of figures packed into text. Nothing in one is ever run.

save_model(model, path)
load_model(path)              # raises ValueError for what is no such file
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .estimators import ESTIMATORS
from .kinds import KindModel
from .models import USES, TrainedModel

FORMAT = "uniwizard-model-1"
#: Bytes that the arrays of one file may unpack to.
MOST = 256 * 1024**2
_TYPES = ("float16", "float32", "float64")


def save_model(model: TrainedModel, path: str | Path, about: Mapping[str, Any] | None = None) -> None:
    """Write a model; ``about`` is for people. Raises OSError."""
    kinds = model.kinds
    said = {
        "format": FORMAT,
        "use": model.use,
        "models": model.models,
        "names": model.names,
        "about": dict(about or {}),
        "weights": model.weights,
        "scale": _packed(model.scale),
        "costs": _packed(model.costs),
        "directions": None if model.directions is None else _packed(model.directions),
        "figures": {name: {key: _packed(each) for key, each in of.items()} for name, of in model.figures.items()},
        "kinds": None
        if kinds is None
        else {
            "idf": _packed(kinds.idf.astype(np.float16)),
            "weights": _packed(kinds.weights.astype(np.float16)),
            "bias": _packed(kinds.bias),
            "centres": _packed(kinds.centres.astype(np.float16)),
            "ranks": _packed(kinds.ranks),
            "scale": _packed(kinds.scale),
        },
    }
    Path(path).write_text(json.dumps(said), "utf-8")


def load_model(path: str | Path) -> TrainedModel:
    """Read one. Raises OSError, ValueError."""
    try:
        said = json.loads(Path(path).read_text("utf-8"))
        if said["format"] != FORMAT or said["use"] not in USES or not set(said["figures"]) <= set(ESTIMATORS):
            raise ValueError
        kinds = said["kinds"]
        return TrainedModel(
            said["use"],
            list(map(str, said["models"])),
            None if kinds is None else KindModel(said["names"], **{key: _single(each) for key, each in kinds.items()}),
            list(map(str, said["names"])),
            _unpacked(said["scale"]),
            None if said["directions"] is None else _unpacked(said["directions"]),
            {name: {key: _unpacked(each) for key, each in of.items()} for name, of in said["figures"].items()},
            {str(name): float(weight) for name, weight in said["weights"].items()},
            _unpacked(said["costs"]),
        )
    except OSError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error, zlib.error, RecursionError):
        raise ValueError(f"{path}: is no model that learn has written") from None


def _packed(array: Any) -> dict[str, Any]:
    array = np.ascontiguousarray(array)
    data = base64.b64encode(zlib.compress(array.tobytes(), 6)).decode()
    return {"type": str(array.dtype), "shape": list(array.shape), "data": data}


def _unpacked(said: Any) -> Any:
    if said["type"] not in _TYPES:
        raise ValueError(f"an array of {said['type']}")
    opener = zlib.decompressobj()
    raw = opener.decompress(base64.b64decode(said["data"], validate=True), MOST)
    if opener.unconsumed_tail:
        raise ValueError("an array is too large")
    return np.frombuffer(raw, said["type"]).reshape(said["shape"])


def _single(said: Any) -> Any:
    return _unpacked(said).astype(np.float32)
