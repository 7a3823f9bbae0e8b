"""What becomes of images and of errors on the worker's side."""

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from backend.generation import describe_failure, encode_png
from cvd.errors import CameraError


def test_images_are_kept_exactly_and_always_in_the_same_bytes() -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    data = encode_png(image)
    np.testing.assert_array_equal(iio.imread(data), image)
    assert encode_png(image.copy()) == data


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CameraError("The camera is mirrored.", "Unmirror it."), "camera"),
        (torch.OutOfMemoryError("CUDA out of memory."), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (ZeroDivisionError("x" * 10_000), "internal"),
    ],
)
def test_every_error_has_a_code_a_message_and_a_hint(error: Exception, code: str) -> None:
    info = describe_failure(error)
    assert info.code == code
    assert 0 < len(info.message) <= 8192
    assert info.hint
