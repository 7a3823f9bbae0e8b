"""What is asked of the service, from settings and a model's own values."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blender_addon.service.state import Model
from blender_addon.service.submission import CameraExport, SettingsError, Submission

STARTER = Model("starter", 128, 64, 16, 25, 5.0)


def submission(frames: int = 16, aspect: float = 16 / 9, **settings: Any) -> Submission:
    K = np.tile(np.array([[1600.0, 0, 960], [0, 1600, 540], [0, 0, 1]]), (2, frames, 1, 1))
    cameras = CameraExport(("A", "B"), np.tile(np.eye(4), (2, frames, 1, 1)), K, 1920, 1080, aspect)
    defaults = {
        "frame_start": 1,
        "frame_end": 48,
        "prompt": "a cube",
        "negative_prompt": "",
        "model": "starter",
        "seed": 3,
        "steps": None,
        "guidance": None,
        "size": None,
        "output_folder": Path("takes"),
    }
    return Submission(cameras=cameras, **(defaults | settings))


def test_a_model_fills_in_what_is_not_set() -> None:
    fields = submission().request_fields([STARTER])
    assert (fields["width"], fields["height"]) == (192, 128)
    assert (fields["num_inference_steps"], fields["guidance_scale"]) == (25, 5.0)
    assert fields["view_names"] == ("A", "B")


def test_settings_go_before_the_models_own() -> None:
    fields = submission(steps=7, guidance=2.0, size=(128, 64)).request_fields([STARTER])
    assert (fields["num_inference_steps"], fields["guidance_scale"]) == (7, 2.0)
    assert (fields["height"], fields["width"]) == (128, 64)


def test_the_automatic_size_stays_within_what_a_request_may_ask_for() -> None:
    fields = submission(aspect=2000).request_fields([STARTER])
    assert (fields["height"], fields["width"]) == (64, 4096)


def test_intrinsics_follow_the_size_even_where_it_changes_the_aspect() -> None:
    K = submission().K_at((128, 192))
    assert K.shape == (2, 16, 3, 3)
    np.testing.assert_allclose(K[0, 0], [[1600 * 192 / 1920, 0, 96], [0, 1600 * 128 / 1080, 64], [0, 0, 1]])


def test_a_model_that_is_not_offered_needs_every_setting() -> None:
    folder = "/models/mine"
    with pytest.raises(SettingsError, match=r"no model “/models/mine”.*starter"):
        submission(model=folder).request_fields([STARTER])
    fields = submission(model=folder, steps=10, guidance=7.0, size=(256, 256)).request_fields([STARTER])
    assert (fields["model"], fields["num_inference_steps"]) == (folder, 10)


def test_what_the_model_cannot_make_is_refused() -> None:
    with pytest.raises(SettingsError, match="multiples of 64"):
        submission(size=(100, 64)).request_fields([STARTER])
    with pytest.raises(SettingsError, match="at most 16 frames"):
        submission(frames=17).request_fields([STARTER])
