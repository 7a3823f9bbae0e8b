"""Records of takes for tests."""

from typing import Any

from cvd import Cameras
from cvd.takes.record import make_record
from protocol.models import ModelReference
from protocol.settings import SamplingSettings
from protocol.takes import TakeRecord


def example_record(cameras: Cameras, model: str = "any", **fields: Any) -> TakeRecord:
    """A record of these cameras; `fields` replace those of `make_record`."""
    given: dict[str, Any] = {
        "prompt": "a cube",
        "settings": SamplingSettings(num_inference_steps=3),
        "model": ModelReference(name=model, family="cvd", sha256="0" * 64),
        "seconds": 1.5,
    }
    return make_record(cameras, **(given | fields))
