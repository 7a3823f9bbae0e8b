"""The description of a model in its folder. The model is not loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from protocol.models import (
    STARTER_NAME,
    FrameRule,
    LearnedMotion,
    LearnedRange,
    ModelInfo,
    SizeRule,
)
from protocol.settings import SETTINGS, SamplingSettings

from ..errors import CheckpointError
from ..request import MAX_FRAMES
from .configs import read_config

STARTER = Path(__file__).parents[1] / "starter" / "weights"
INFO_FILE = "model.json"

ALL_SETTINGS = tuple(setting.name for setting in SETTINGS)
AT_ONCE = 16
"""Number of frames in a call of CameraCtrl's encoder and AnimateDiff's motion modules."""

OFFICIAL_INFO = ModelInfo(
    name="official",
    sizes=SizeRule(native=256, multiple=64),
    frames=FrameRule(at_once=AT_ONCE, most=MAX_FRAMES),
    defaults=SamplingSettings(num_inference_steps=25, guidance_scale=8.5),
    settings=ALL_SETTINGS,
    # From the official camera patterns and RealEstate10K's clips, which all have the same lens.
    learned=LearnedMotion(
        motion=LearnedRange(low=0.0, high=1.0),
        baseline=LearnedRange(low=0.0, high=1.0),
        field_of_view=LearnedRange(low=45.0, high=75.0),
    ),
)


def read_info(folder: Path) -> ModelInfo:
    """The description of the model in one of our folders, from its model.json.

    Raises:
        CheckpointError: the file is missing or broken.
    """
    path = folder / INFO_FILE
    config = read_config(path)
    if "native_size" in config:
        config = _from_first_layout(config)
    try:
        return msgspec.convert(config, ModelInfo)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{path} does not describe a model: {error}.", "Convert or download it again.") from None


def write_info(folder: Path, info: ModelInfo) -> None:
    """Writes model.json."""
    text = json.dumps(msgspec.to_builtins(info), indent=2)
    (folder / INFO_FILE).write_text(text + "\n", encoding="utf-8")


def vae_scale_factor(config: Mapping[str, Any]) -> int:
    """Pixels that a latent covers in each direction, from the autoencoder's configuration: 8 for SD 1.5."""
    return 2 ** (len(config["block_out_channels"]) - 1)


def model_folder(folder: str | Path) -> Path:
    """The folder of a model: the starter's for "starter", or the given one."""
    return STARTER if str(folder) == STARTER_NAME else Path(folder)


def _from_first_layout(config: dict[str, Any]) -> dict[str, Any]:
    """From a model.json of release 0.1, which was flat, to the present layout."""
    return {
        "name": config.get("name"),
        "sizes": {"native": config.get("native_size"), "multiple": config.get("size_multiple")},
        "frames": {"at_once": config.get("max_frames"), "most": MAX_FRAMES},
        "defaults": {
            "num_inference_steps": config.get("num_inference_steps"),
            "guidance_scale": config.get("guidance_scale"),
        },
        "settings": ALL_SETTINGS,
        "guidance": {
            "frees_unconditional": config.get("guides_synchronisation", False),
            "late_share": config.get("late_guidance", 1.0),
        },
    }
