"""Contact sheets: a grid of images in one PNG."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np


def write_contact_sheet(path: Path, rows: np.ndarray, scale: int = 2) -> None:
    """Write `rows` (R, C, H, W, 3), uint8 or float in [0, 1], as one PNG. Each pixel is enlarged `scale` times."""
    if rows.dtype != np.uint8:
        rows = np.round(np.clip(rows, 0, 1) * 255).astype(np.uint8)
    count, columns, height, width, _ = rows.shape
    sheet = rows.transpose(0, 2, 1, 3, 4).reshape(count * height, columns * width, 3)
    iio.imwrite(path, sheet.repeat(scale, 0).repeat(scale, 1))
