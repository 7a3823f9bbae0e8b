"""Data sets to train on: procedural scenes, pools of them, RealEstate10K's layout, plain videos, and mixtures."""

from __future__ import annotations

from pathlib import Path

from ..errors import TrainingError
from .pool import PoolData
from .procedural import Procedural
from .realestate import RealEstate
from .sample import DataSet, Request, Sample, Split
from .videos import Videos

__all__ = ["DataSet", "PoolData", "Procedural", "RealEstate", "Request", "Sample", "Split", "Videos", "open_dataset"]

PROCEDURAL = "procedural"


def open_dataset(where: str | Path, size: int, factor: int, encoder: str | None, split: Split = "train") -> DataSet:
    """The data set that `where` names, told by what the folder holds.

    Args:
        where: "procedural", or a folder: a pool, RealEstate10K's layout, or videos.
        size: of the square frames that the model is trained on, pixels.
        factor: how many pixels a latent of the model covers in either direction.
        encoder: fingerprint of the autoencoder, whose latents a pool may hold; None: latents are not wanted.
        split: draw from the part that is trained on, or from the part that is held out.

    Raises:
        TrainingError: no such folder, or nothing in it to train on.
    """
    if str(where) == PROCEDURAL:
        return Procedural(size, size, factor)
    folder = Path(where)
    if not folder.is_dir():
        raise TrainingError(f"There is no folder {folder}.", 'Give a folder of data, or "procedural".')
    if (folder / "stills").is_dir() or (folder / "clips").is_dir():
        return PoolData(folder, factor, encoder, split)
    if (folder / "cameras").is_dir():
        return RealEstate(folder, size, size, split)
    return Videos(folder, size, size, factor, split)
