"""What a model was trained for, and where it is: known without loading it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from .files import read_config

STARTER = Path(__file__).parents[1] / "starter" / "weights"
STARTER_NAME = "starter"
INFO_FILE = "model.json"
LATE_TIMESTEP = 500
"""Of the 1000 training timesteps: below it, guidance is late."""


@dataclass(frozen=True)
class ModelInfo:
    """What a model was trained for, and how it is sampled from.

    Args:
        native_size: in pixels; its square is the area the model is at its best at.
        size_multiple: of pixels, in both directions.
        guides_synchronisation: classifier-free guidance leads away from videos that do not know of each other, as it
            leads away from the negative prompt: the unconditional branch goes without the epipolar modules. The
            official model is sampled from with them in both branches.
        late_guidance: the share of the guidance scale that is applied below timestep `LATE_TIMESTEP`, where what is
            where has been decided and guidance only hardens details. The official model's guidance does not change.
    """

    name: str
    native_size: int
    size_multiple: int
    max_frames: int
    num_inference_steps: int
    guidance_scale: float
    guides_synchronisation: bool = False
    late_guidance: float = 1.0

    @property
    def free_branches(self) -> int:
        """How many of the two guidance branches go without synchronisation, as `EpipolarContext` takes it."""
        return 1 if self.guides_synchronisation else 0

    def guidance_at(self, timestep: int, guidance_scale: float) -> float:
        """The guidance scale at a timestep (0 .. 999, noisiest last), of the one that a run has asked for."""
        return guidance_scale * (self.late_guidance if timestep < LATE_TIMESTEP else 1.0)


OFFICIAL_INFO = ModelInfo(
    name="official", native_size=256, size_multiple=64, max_frames=16, num_inference_steps=25, guidance_scale=8.5
)


def available_models() -> list[ModelInfo]:
    """The models that `from_pretrained` knows by name, without loading them."""
    return [_read_info(STARTER)]


def find_info(folder: str | Path) -> ModelInfo:
    """What a model that `from_pretrained` would load was trained for, without loading it.

    Raises:
        CheckpointError: no such model.
    """
    return _read_info(model_folder(folder))


def vae_scale_factor(config: Mapping[str, Any]) -> int:
    """How many pixels a latent covers in either direction, by the autoencoder's configuration: 8 for SD 1.5's."""
    return 2 ** (len(config["block_out_channels"]) - 1)


def model_folder(folder: str | Path) -> Path:
    """The folder of a model that is given by name or as a folder."""
    return STARTER if str(folder) == STARTER_NAME else Path(folder)


def _read_info(folder: Path) -> ModelInfo:
    config = read_config(folder / INFO_FILE)
    missing = {field.name for field in fields(ModelInfo) if field.default is MISSING} - config.keys()
    if missing:
        raise CheckpointError(f"{folder / INFO_FILE} does not say {', '.join(sorted(missing))}.")
    info = ModelInfo(**{field.name: config[field.name] for field in fields(ModelInfo) if field.name in config})
    for name, value in vars(OFFICIAL_INFO).items():
        kinds = (int, float) if isinstance(value, float) else type(value)
        if not isinstance(getattr(info, name), kinds):
            raise CheckpointError(
                f"{folder / INFO_FILE}: {name} is {getattr(info, name)!r}; expected is a value like {value!r}."
            )
    return info
