"""What is asked of the service, from the artist's settings and what a model can do."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.addon_jobs import TINY, submission

from blender_addon.protocol.models import FrameRule, SizeRule
from blender_addon.protocol.settings import SamplingSettings
from blender_addon.service.submission import SettingsError

FOLDER = Path("takes")
WIDE = msgspec.structs.replace(TINY, sizes=SizeRule(native=128, multiple=64))


def test_the_automatic_size_has_the_renders_aspect() -> None:
    request = submission(FOLDER, aspect=16 / 9, size=None).request([WIDE])
    assert (request.width, request.height) == (192, 128)
    assert request.view_names == ("A", "B")


def test_a_chosen_size_keeps_width_and_height_apart() -> None:
    request = submission(FOLDER, size=(64, 128)).request([WIDE])
    assert (request.width, request.height) == (128, 64)


@pytest.mark.parametrize("aspect", [40, 1 / 40])
def test_a_render_that_is_far_from_square_is_refused(aspect: float) -> None:
    shape = "40 to 1" if aspect > 1 else "1 to 40"
    with pytest.raises(SettingsError, match=f"The render is {shape}; models make 4 to 1 at most.*Resolution"):
        submission(FOLDER, aspect=aspect, size=None).request([WIDE])


def test_what_is_not_set_is_left_to_the_model() -> None:
    request = submission(FOLDER, settings=SamplingSettings(seed=7)).request([TINY])
    assert request.settings == SamplingSettings(seed=7)


def test_settings_that_the_model_has_not_are_left_out() -> None:
    simple = msgspec.structs.replace(TINY, settings=("seed", "num_inference_steps"))
    asked = SamplingSettings(seed=7, num_inference_steps=5, multistep=3, scheduler="euler")
    settings = submission(FOLDER, settings=asked).request([simple]).settings
    assert settings == SamplingSettings(seed=7, num_inference_steps=5)


def test_pixels_are_square_and_the_view_lies_in_the_middle() -> None:
    """A 1920 x 1080 render in 192 x 128 pixels: a tenth as large, and ten rows more above and below."""
    asked = submission(FOLDER, aspect=16 / 9)
    K = asked.K_at((128, 192))
    assert K.shape == (2, 4, 3, 3)
    np.testing.assert_allclose(K[0, 0], [[160, 0, 96], [0, 160, 64], [0, 0, 1]])
    assert asked.shown_at((128, 192)) == pytest.approx((192, 108))


def test_the_renders_own_pixels_need_not_be_square() -> None:
    """1920 x 1080 pixels that are twice as wide as high, looked at as 3840 x 1080."""
    asked = submission(FOLDER, aspect=2 * 16 / 9)
    np.testing.assert_allclose(asked.K_at((540, 1920))[0, 0], [[1600, 0, 960], [0, 800, 270], [0, 0, 1]])


def test_a_model_that_is_not_offered_is_refused_with_those_that_are() -> None:
    starter = msgspec.structs.replace(TINY, name="starter")
    with pytest.raises(SettingsError, match=r"no model “mine”.*starter, tiny"):
        submission(FOLDER, model="mine").request([starter, TINY])


def test_what_the_model_cannot_make_is_refused() -> None:
    with pytest.raises(SettingsError, match="multiples of 64"):
        submission(FOLDER, size=(64, 100)).request([WIDE])
    with pytest.raises(SettingsError, match=r"17 frames.*Set Frames to 16"):
        submission(FOLDER, frames=17).request([TINY])


def test_the_models_rule_decides_about_frames() -> None:
    in_fours = msgspec.structs.replace(TINY, frames=FrameRule(at_once=9, most=81, step=4))
    submission(FOLDER, frames=13).request([in_fours])
    with pytest.raises(SettingsError, match="Set Frames to 17"):
        submission(FOLDER, frames=16).request([in_fours])
