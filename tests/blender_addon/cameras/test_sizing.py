"""The automatic size of the generated images."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.cameras.sizing import generation_size


@pytest.mark.parametrize(
    ("aspect", "native", "multiple", "size"),
    [(1.0, 256, 64, (256, 256)), (16 / 9, 256, 64, (320, 192)), (9 / 16, 512, 64, (384, 704)), (1.0, 64, 8, (64, 64))],
)
def test_known_sizes(aspect: float, native: int, multiple: int, size: tuple[int, int]) -> None:
    assert generation_size(aspect, native, multiple) == size


@given(st.floats(0.05, 20), st.sampled_from([64, 256, 512, 1024]), st.sampled_from([8, 16, 64]))
def test_sizes_are_multiples_and_near_the_aspect(aspect: float, native: int, multiple: int) -> None:
    width, height = generation_size(aspect, native, multiple)
    assert width % multiple == height % multiple == 0
    assert min(width, height) >= multiple
    assert max(width, height) <= 4096
    if min(width, height) >= 4 * multiple and max(width, height) < 4096:
        assert width / height == pytest.approx(aspect, rel=0.3)
