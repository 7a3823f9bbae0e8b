"""Reading and writing of camera trajectories: RealEstate10K, nerfstudio and COLMAP files."""

from .colmap import read_colmap, write_colmap
from .realestate import cameras_from_realestate, read_realestate, write_realestate
from .transforms import read_transforms, write_transforms

__all__ = [
    "cameras_from_realestate",
    "read_colmap",
    "read_realestate",
    "read_transforms",
    "write_colmap",
    "write_realestate",
    "write_transforms",
]
