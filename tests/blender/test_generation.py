"""From Generate to pixels, with the real service, and what the panel says when something on the way breaks."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest
from blender.places import MODULE, PROJECT
from blender.scenes import add_camera, add_moving_camera, read_png, render

FRAMES = 16
SIZE = 64
TIMEOUT = 180.0


@pytest.fixture
def preferences(addon: ModuleType) -> Iterator[bpy.types.AddonPreferences]:
    """The add-on's preferences, empty again afterwards."""
    chosen = bpy.context.preferences.addons[MODULE].preferences
    yield chosen
    chosen.python = chosen.project = chosen.output_folder = ""


@pytest.fixture
def shot(scene: bpy.types.Scene, tiny_model: str, tmp_path: Path) -> bpy.types.Scene:
    """A scene of 48 frames with two cameras that start from one pose, and settings for a quick generation."""
    scene.frame_start, scene.frame_end = 1, 48
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    for name, x in (("Left", -0.4), ("Right", 0.4)):
        add_moving_camera(scene, name, x)
    settings = scene.collaborative_cameras
    settings.prompt = "a red cube on a green floor"
    settings.model = tiny_model
    settings.size_mode, settings.width, settings.height = "CUSTOM", SIZE, SIZE
    settings.num_inference_steps, settings.guidance_scale, settings.seed = 1, 4.0, 5
    settings.output_folder = str(tmp_path / "takes")
    return scene


@pytest.fixture
def session(addon: ModuleType):
    """The add-on's session, without a backend."""
    addon.runtime.session.close()
    return addon.runtime.session


@pytest.fixture
def running(addon: ModuleType):
    """The add-on's session with a backend; tests that leave it running share it, as starting takes seconds."""
    session = addon.runtime.session
    if session.state.backend.value != "Ready":
        session.close()
        bpy.ops.collaborative_cameras.start_backend()
        session.wait_for_backend(TIMEOUT)
    return session


def service_pid(addon: ModuleType) -> int:
    """The process that the add-on's connection file names."""
    folder = Path(bpy.utils.extension_path_user(MODULE, path="service"))
    return addon.protocol.connection.read_connection(folder / f"connection-{os.getpid()}.json").pid


def stage_of(session) -> str:
    """What is being done for the job that was asked for last."""
    return session.state.jobs[session.last_job].stage


def wait_until(session, condition, timeout: float = TIMEOUT) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        session.tick()
        time.sleep(0.01)


def test_generate_to_pixels(shot: bpy.types.Scene, session, addon: ModuleType, tmp_path: Path) -> None:
    """Generate starts the backend, brings a take, and every camera's render shows its PNG at three frames."""
    add_moving_camera(shot, "Centre", 0.0)
    seen = []
    assert bpy.ops.collaborative_cameras.generate() == {"FINISHED"}
    folder = session.wait(lambda state: seen.extend((job.stage, job.step) for job in state.jobs.values()), TIMEOUT)
    assert folder == tmp_path / "takes" / "take_0001"
    # A tick may take in several reports of a fast model at once: which of them are seen is up to the machine.
    stages = ("", "loading", "encoding", "denoising", "decoding", "saving")
    progress = [(stages.index(stage), step) for stage, step in seen]
    assert progress == sorted(progress)
    assert any(step > 0 for _, step in progress)

    record = addon.protocol.takes.read_record(folder)
    assert record.view_names == ("Centre", "Left", "Right")
    assert (record.scene.name, record.scene.frame_start, record.scene.frame_end) == (shot.name, 1, 48)
    assert (record.settings.seed, record.settings.num_inference_steps, record.settings.guidance_scale) == (5, 1, 4.0)
    assert record.job_id == session.last_job
    c2w = np.array(record.c2w)
    assert c2w.shape == (3, FRAMES, 4, 4)
    np.testing.assert_allclose(c2w[:, 0, :3, 3], 0, atol=1e-6)
    np.testing.assert_allclose(c2w[2, -1, :3, 3], [0.4, 0, 0.1], atol=1e-6)
    for view in range(3):
        assert np.load(folder / f"view_{view:02d}" / "latents.npy").shape == (4, FRAMES, SIZE // 8, SIZE // 8)

    shot.collaborative_cameras.show_in_renders = True
    for view, name in enumerate(record.view_names):
        for frame, number in ((1, 1), (24, 8), (48, 16)):
            expected = read_png(folder / f"view_{view:02d}" / f"{number:04d}.png")
            pixels = render(shot, shot.objects[name], frame, tmp_path / "render.png")
            assert expected.shape == (SIZE, SIZE, 3)
            assert np.abs(pixels.astype(int) - expected).max() <= 1, (name, frame)


def test_the_same_seed_gives_the_same_bytes(shot: bpy.types.Scene, running) -> None:
    contents = []
    for _ in range(2):
        bpy.ops.collaborative_cameras.generate()
        folder = running.wait(timeout=TIMEOUT)
        contents.append([path.read_bytes() for path in sorted(folder.glob("view_*/*.png"))])
    assert folder.name == "take_0002"
    assert len(contents[0]) == 2 * FRAMES
    assert contents[0] == contents[1]


def test_a_script_names_the_takes_folder(shot: bpy.types.Scene, running, tmp_path: Path) -> None:
    bpy.ops.collaborative_cameras.generate(folder=str(tmp_path / "v001"))
    assert running.wait(timeout=TIMEOUT) == tmp_path / "v001"
    assert shot.collaborative_cameras.new_take.name == "v001"
    bpy.ops.collaborative_cameras.generate(folder=str(tmp_path / "v001"))
    with pytest.raises(Exception, match="holds a take already"):
        running.wait(timeout=TIMEOUT)


def test_cameras_may_be_renamed_and_deleted_meanwhile(shot: bpy.types.Scene, running) -> None:
    bpy.ops.collaborative_cameras.generate()
    shot.objects["Left"].name = "Renamed"
    bpy.data.objects.remove(shot.objects["Right"])
    running.wait(timeout=TIMEOUT)
    made = ["take_0001 Renamed", "take_0001 Renamed in renders"]
    assert sorted(child.name for child in shot.objects["Renamed"].children) == made
    assert sorted(shot.collection.children["take_0001"].objects.keys()) == made


def test_a_closed_file_leaves_the_take_on_disk(shot: bpy.types.Scene, running, tmp_path: Path) -> None:
    bpy.ops.collaborative_cameras.generate()
    bpy.ops.wm.read_homefile(use_empty=True)
    with pytest.raises(Exception, match="no longer open"):
        running.wait(timeout=TIMEOUT)
    assert (tmp_path / "takes" / "take_0001" / "take.json").exists()


def test_cancel_ends_the_job_and_the_next_one_works(shot: bpy.types.Scene, running, tmp_path: Path) -> None:
    shot.collaborative_cameras.num_inference_steps = 500
    bpy.ops.collaborative_cameras.generate()
    wait_until(running, lambda: stage_of(running) == "denoising")
    bpy.ops.collaborative_cameras.cancel()
    with pytest.raises(Exception, match="cancelled"):
        running.wait(timeout=30)
    assert running.state.problem is None
    assert not list((tmp_path / "takes").iterdir())
    shot.collaborative_cameras.num_inference_steps = 1
    bpy.ops.collaborative_cameras.generate()
    assert running.wait(timeout=TIMEOUT).name == "take_0001"


def test_generate_may_be_pressed_again_meanwhile(shot: bpy.types.Scene, running, tmp_path: Path) -> None:
    """Each take has its own settings and folder; the last one shows; and one job is cancelled without the others."""
    shot.collaborative_cameras.num_inference_steps = 30
    job_ids = []
    for seed in (1, 2, 3):
        shot.collaborative_cameras.seed = seed
        bpy.ops.collaborative_cameras.generate()
        job_ids.append(running.last_job)
    assert list(running.state.jobs) == job_ids
    bpy.ops.collaborative_cameras.cancel(job_id=job_ids[1])
    folders = [running.wait(timeout=TIMEOUT, job_id=job_id) for job_id in (job_ids[0], job_ids[2])]
    assert running.state.failures[job_ids[1]].code == "cancelled"
    assert folders == [tmp_path / "takes" / name for name in ("take_0001", "take_0003")]
    assert shot.collaborative_cameras.take == str(folders[1])
    assert (folders[0] / "view_00" / "0001.png").read_bytes() != (folders[1] / "view_00" / "0001.png").read_bytes()


def test_a_model_that_is_not_offered_is_refused_with_those_that_are(shot, running, tmp_path: Path) -> None:
    shot.collaborative_cameras.model = str(tmp_path / "nowhere")
    bpy.ops.collaborative_cameras.generate()
    with pytest.raises(Exception, match=r"nowhere.*starter, tiny"):
        running.wait(timeout=TIMEOUT)
    assert running.state.backend.value == "Ready"


def test_too_many_cameras_leave_the_backend_running(shot, running) -> None:
    for index in range(70):
        add_camera(shot, f"Camera {index}")
    bpy.ops.collaborative_cameras.generate()
    with pytest.raises(Exception, match="64"):
        running.wait(timeout=TIMEOUT)
    assert running.state.backend.value == "Ready"


def test_an_output_folder_that_is_a_file_is_told(shot, running, tmp_path: Path) -> None:
    (tmp_path / "takes").write_text("in the way")
    bpy.ops.collaborative_cameras.generate()
    with pytest.raises(Exception, match="could not be written"):
        running.wait(timeout=TIMEOUT)
    assert running.state.backend.value == "Ready"


def test_a_backend_killed_during_a_job_is_told_and_restarted(shot: bpy.types.Scene, addon: ModuleType, running) -> None:
    """The job is asked for again, and the service says what became of it."""
    shot.collaborative_cameras.num_inference_steps = 500
    bpy.ops.collaborative_cameras.generate()
    killed = running.last_job
    wait_until(running, lambda: stage_of(running) == "denoising")
    os.kill(service_pid(addon), signal.SIGKILL)
    with pytest.raises(Exception, match="asked for the unfinished generations again"):
        running.wait(timeout=30)
    assert running.state.backend.value == "Failed"
    assert running.state.problem.code == "backend_ended"
    assert "-9" in running.state.problem.message
    assert list(running.state.jobs) == [killed]
    shot.collaborative_cameras.num_inference_steps = 1
    assert bpy.ops.collaborative_cameras.start_backend() == {"FINISHED"}
    with pytest.raises(Exception, match="ended before"):
        running.wait(timeout=TIMEOUT, job_id=killed)
    bpy.ops.collaborative_cameras.generate()
    running.wait(timeout=TIMEOUT)
    assert running.state.problem is None


def test_stopping_the_backend_ends_its_process(addon: ModuleType, running) -> None:
    pid = service_pid(addon)
    bpy.ops.collaborative_cameras.stop_backend()
    running.wait_for_backend(30)
    assert (running.state.backend.value, running.state.problem) == ("Stopped", None)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_idle_backend_that_dies_is_told(addon: ModuleType, running) -> None:
    os.kill(service_pid(addon), signal.SIGKILL)
    wait_until(running, lambda: running.state.backend.value == "Failed", 30)
    assert "ended" in running.state.problem.message


def test_a_backend_that_cannot_start_shows_its_log(scene, session, preferences, tmp_path: Path) -> None:
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend" / "__main__.py").write_text("raise SystemExit('error: no room for the model')")
    preferences.project = str(tmp_path)
    bpy.ops.collaborative_cameras.start_backend()
    with pytest.raises(Exception, match="could not be started"):
        session.wait_for_backend(TIMEOUT)
    assert session.state.problem.details == "error: no room for the model"
    assert session.state.log_path.read_text().strip() == "error: no room for the model"


def test_an_interpreter_that_is_not_there_is_named(scene, session, preferences, tmp_path: Path) -> None:
    preferences.python = str(tmp_path / "no-python")
    bpy.ops.collaborative_cameras.start_backend()
    with pytest.raises(Exception, match=r"no-python.*preferences"):
        session.wait_for_backend(TIMEOUT)


def test_a_service_that_was_never_installed_says_how(scene, session, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CVD_HOME", str(tmp_path))
    bpy.ops.collaborative_cameras.start_backend()
    with pytest.raises(Exception, match=r"not installed.*install\.py"):
        session.wait_for_backend(TIMEOUT)
    assert session.state.problem.code == "not_installed"


def other_release(folder: Path, file: str, old: str, new: str) -> Path:
    """A project whose `protocol` differs from this one's in one place."""
    for name in ("backend", "protocol"):
        shutil.copytree(PROJECT / name, folder / name)
    (folder / "cvd").symlink_to(PROJECT / "cvd")
    path = folder / "protocol" / file
    source = path.read_text()
    assert old in source
    path.write_text(source.replace(old, new))
    return folder


def test_a_service_of_another_protocol_version_is_told(scene, session, preferences, tmp_path: Path) -> None:
    project = other_release(tmp_path, "messages.py", "PROTOCOL_VERSION = 2", "PROTOCOL_VERSION = 3")
    preferences.project = str(project)
    bpy.ops.collaborative_cameras.start_backend()
    with pytest.raises(Exception, match=r"version.*install\.py"):
        session.wait_for_backend(TIMEOUT)
    assert session.state.problem.code == "version"


def test_a_service_with_other_keys_is_told(scene, session, preferences, tmp_path: Path) -> None:
    """As when the connection file is of another start than the service that answers."""
    secret = "server_secret_key=server_secret.decode()"
    project = other_release(tmp_path, "connection.py", secret, "server_secret_key=zmq.curve_keypair()[1].decode()")
    preferences.project = str(project)
    bpy.ops.collaborative_cameras.start_backend()
    with pytest.raises(Exception, match="keys"):
        session.wait_for_backend(TIMEOUT)
    assert session.state.problem.code == "wrong_key"


def test_stopping_the_backend_during_a_job_ends_the_wait(shot, session) -> None:
    bpy.ops.collaborative_cameras.generate()
    bpy.ops.collaborative_cameras.stop_backend()
    with pytest.raises(Exception, match="the generation is lost"):
        session.wait(timeout=TIMEOUT)
