"""Data sets to train on: procedural scenes, pools, folders in RealEstate10K's layout, and plain videos."""

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
    """The data set that `where` names. The content of the folder decides what kind of data set it is.

    Args:
        where: "procedural", or a folder: a pool, RealEstate10K's layout, or videos.
        size: width and height of the frames that the model is trained on, in pixels.
        factor: number of pixels that a latent of the model covers in each direction.
        encoder: fingerprint of the autoencoder that made a pool's latents; None: latents are not used.
        split: part of the data to draw from, for training or held out for validation.

    Raises:
        TrainingError: the folder is missing, or holds no data to train on.
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
