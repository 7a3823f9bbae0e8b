"""Layout of a folder of the official release. Torch is not needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BASE_FOLDER = "StableDiffusion"
PLAIN_UNET = "unet"
ADAPTED_UNET = "unet_webvidlora_v3"
ADAPTER_FILE = "v3_sd15_adapter.ckpt"
MOTION_FILE = "animatediff_mm.ckpt"
CAMERA_FILE = "CameraCtrl.ckpt"
EPIPOLAR_FILE = "CVD.ckpt"


@dataclass(frozen=True)
class ImageModel:
    """The image model that the official modules are added to.

    path: diffusers folder or single file. unet: folder of the U-Net in it.
    merge_adapter: whether AnimateDiff's adapter must still be merged.
    """

    path: Path
    unet: str
    merge_adapter: bool


def choose_image_model(
    folder: Path, unet_subfolder: str = ADAPTED_UNET, base_model: str | Path | None = None, adapter: bool = True
) -> ImageModel:
    """The image model of a folder of official files. Arguments are as in `cvd.weights.official.read_base_model`."""
    if base_model is not None:
        return ImageModel(Path(base_model), PLAIN_UNET, adapter)
    base = folder / BASE_FOLDER
    merged_already = (base / unet_subfolder / "config.json").is_file()
    if unet_subfolder == ADAPTED_UNET and not (adapter and merged_already):
        return ImageModel(base, PLAIN_UNET, adapter)
    return ImageModel(base, unet_subfolder, False)
