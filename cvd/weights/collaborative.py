"""The family of Collaborative Video Diffusion: official folders, and our own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from protocol.models import ModelInfo

from ..errors import RequestError
from ..family import AS_IT_IS, LoadOptions
from ..memory import MemoryPlan
from .configs import read_config
from .layout import ADAPTER_FILE, CAMERA_FILE, EPIPOLAR_FILE, MOTION_FILE, choose_image_model
from .model_info import INFO_FILE, OFFICIAL_INFO, read_info

if TYPE_CHECKING:
    from ..pipeline import CollaborativeVideoPipeline

NAME = "cvd"
WEIGHTS = (".safetensors", ".ckpt", ".bin")


class CollaborativeFamily:
    """Models that `CollaborativeVideoPipeline` runs (`cvd.family.ModelFamily`)."""

    def find(self, folder: Path) -> ModelInfo | None:
        """Our own folders have model.json, official ones have CVD.ckpt."""
        if (folder / INFO_FILE).is_file():
            family = read_config(folder / INFO_FILE).get("family", NAME)
            return read_info(folder) if family == NAME else None
        return OFFICIAL_INFO if (folder / EPIPOLAR_FILE).is_file() else None

    def files(self, folder: Path, options: LoadOptions) -> list[Path]:
        """The weights and configurations that are loaded."""
        if _is_ours(folder):
            return sorted(path for path in folder.rglob("*") if path.suffix in (*WEIGHTS, ".json"))
        image = choose_image_model(folder, base_model=options.base_model, adapter=options.adapter)
        parts = [image.path / name for name in (image.unet, "vae", "text_encoder")]
        found = [path for part in parts for path in sorted(part.glob("*")) if path.suffix in (*WEIGHTS, ".json")]
        found += [image.path] if image.path.is_file() else []
        found += [folder / name for name in (MOTION_FILE, CAMERA_FILE, EPIPOLAR_FILE)]
        found += [folder / ADAPTER_FILE] if image.merge_adapter else []
        return [*found, *(path for path, _ in options.lora)]

    def load(
        self, folder: Path, device: str, plan: MemoryPlan, options: LoadOptions = AS_IT_IS
    ) -> CollaborativeVideoPipeline:
        """The pipeline. Raises as in `cvd.family.ModelFamily.load`."""
        from ..pipeline import CollaborativeVideoPipeline

        if not _is_ours(folder):
            return CollaborativeVideoPipeline.from_official(
                folder,
                base_model=options.base_model,
                lora=options.lora,
                adapter=options.adapter,
                device=device,
                plan=plan,
            )
        if options != AS_IT_IS:
            raise RequestError("--base-model, --no-adapter and --lora go with a folder of the official files.")
        return CollaborativeVideoPipeline.from_pretrained(folder, device=device, plan=plan)


def _is_ours(folder: Path) -> bool:
    return (folder / INFO_FILE).is_file()
