"""A take while its files arrive, and its record."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from support.addon_jobs import FRAMES, SIZE, TINY, done_message, submission, view_message

from blender_addon.protocol.takes import TakeError, latents_path, read_record
from blender_addon.protocol.wire import read_array
from blender_addon.service.pending import PendingJob


def test_a_folder_is_no_take_until_everything_is_there(tmp_path: Path) -> None:
    take = PendingJob("job", submission(tmp_path)).prepare([TINY])
    for view in range(2):
        take.save_view(*view_message("job", view))
        with pytest.raises(TakeError, match="holds no take"):
            read_record(take.folder)
    take.finish(done_message("job"))
    record = read_record(take.folder)
    assert record.view_names == ("A", "B")
    assert (record.width, record.height, record.frame_count) == (SIZE, SIZE, FRAMES)
    assert (record.scene.name, record.scene.frame_start, record.scene.frame_end) == ("Scene", 1, 48)
    assert (record.job_id, record.seconds, record.software) == ("job", 1.5, "test")
    assert record.settings.guidance_scale == 5.0
    assert record.warnings == ("It does not read this.",)
    assert len(record.files) == 2 * (FRAMES + 1)
    assert all((take.folder / name).is_file() for name in record.files)


def test_frames_and_latents_are_as_they_came(tmp_path: Path) -> None:
    take = PendingJob("job", submission(tmp_path)).prepare([TINY])
    message, buffers = view_message("job", 1)
    take.save_view(message, buffers)
    assert (take.folder / "view_01" / "0002.png").read_bytes() == buffers[1]
    assert iio.imread(take.folder / "view_01" / "0004.png").shape == (SIZE, SIZE, 3)
    np.testing.assert_array_equal(np.load(latents_path(take.folder, 1)), read_array(message.buffers[-1], buffers[-1]))


def test_the_record_has_the_cameras_of_the_generated_size(tmp_path: Path) -> None:
    """128 x 64 pixels around a 16:9 render, which has all rows and 114 of the columns."""
    asked = submission(tmp_path, size=(64, 128), aspect=16 / 9)
    take = PendingJob("job", asked).prepare([TINY])
    take.finish(done_message("job"))
    record = read_record(take.folder)
    assert (record.width, record.height) == (128, 64)
    np.testing.assert_array_equal(record.c2w, asked.cameras.c2w)
    assert record.shown == pytest.approx((64 * 16 / 9, 64))
    expected = [[1600 * 64 / 1080, 0, 64], [0, 1600 * 64 / 1080, 32], [0, 0, 1]]
    np.testing.assert_allclose(record.K[1][2], expected)
