"""Takes in the scene: read back as pixels of renders and held against Blender's own view of each camera."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest
from blender.scenes import add_camera, random_take, read_png, render
from blender.written_takes import FRAMES, SIZE, nearest, write_take
from mathutils import Matrix, Vector


@pytest.fixture
def three_cameras(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """Three cameras that start from one pose and are apart at frame 100, in a scene that renders its take."""
    scene.collaborative_cameras.show_in_renders = True
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    cameras = [add_camera(scene, name) for name in ("Left", "Centre", "Right")]
    for camera, x in zip(cameras, (-1, 0, 1), strict=True):
        camera.location = 0, 0, 0
        camera.keyframe_insert("location", frame=1)
        camera.location = x, 0, 0
        camera.keyframe_insert("location", frame=100)
    return cameras


@pytest.mark.parametrize(("start", "end"), [(1, 48), (10, 100), (5, 12)])
def test_every_camera_renders_its_nearest_frame(
    scene: bpy.types.Scene, three_cameras: list[bpy.types.Object], tmp_path: Path, start: int, end: int
) -> None:
    """First, last, between, and well outside the range; also at the start, where all stand in one place."""
    scene.frame_start, scene.frame_end = start, end
    names = [camera.name for camera in three_cameras]
    images = write_take(tmp_path / "take_0001", names, start, end)
    bpy.ops.collaborative_cameras.import_take(directory=str(tmp_path / "take_0001"))
    for frame in (start, start + 2, (start + end) // 2 + 1, end, start - 9, end + 50):
        for view, camera in enumerate(three_cameras):
            pixels = render(scene, camera, frame, tmp_path / "render.png")
            expected = images[view, nearest(min(max(frame, start), end), start, end)]
            assert np.abs(pixels.astype(int) - expected).max() <= 1, (frame, camera.name)


def test_a_take_of_the_command_line_is_spread_over_the_scene(
    scene: bpy.types.Scene, three_cameras: list[bpy.types.Object], tmp_path: Path
) -> None:
    """It knows names of views, and no scene. Cameras are found by the names, in whatever order; others are left out."""
    scene.frame_start, scene.frame_end = 20, 50
    images = write_take(tmp_path / "cli", ["Right", "nowhere", "Left"], None, None)
    bpy.ops.collaborative_cameras.import_take(directory=str(tmp_path / "cli"))
    for frame in (20, 32, 50):
        for view, camera in ((0, three_cameras[2]), (2, three_cameras[0])):
            pixels = render(scene, camera, frame, tmp_path / "render.png")
            assert np.abs(pixels.astype(int) - images[view, nearest(frame, 20, 50)]).max() <= 1, (frame, camera.name)
    assert not three_cameras[1].children


def test_an_unfinished_take_is_no_take(scene: bpy.types.Scene, addon: ModuleType, tmp_path: Path) -> None:
    add_camera(scene, "A")
    write_take(tmp_path / "take_0001", ["A"], 1, 48)
    (tmp_path / "take_0001" / "take.json").rename(tmp_path / "take_0001" / "take.unfinished.json")
    with pytest.raises(RuntimeError, match="holds no take"):
        bpy.ops.collaborative_cameras.import_take(directory=str(tmp_path / "take_0001"))


def test_a_rendered_animation_keeps_step(
    scene: bpy.types.Scene, three_cameras: list[bpy.types.Object], tmp_path: Path
) -> None:
    """As rendered by Render Animation, with the camera switched by timeline markers."""
    images = write_take(tmp_path / "take_0001", ["Left", "Centre", "Right"], 1, 48)
    bpy.ops.collaborative_cameras.import_take(directory=str(tmp_path / "take_0001"))
    scene.frame_start, scene.frame_end = 20, 24
    views = {20: 0, 21: 0, 22: 2, 23: 2, 24: 1}
    for frame, view in ((20, 0), (22, 2), (24, 1)):
        scene.timeline_markers.new("cut", frame=frame).camera = three_cameras[view]
    scene.render.filepath = str(tmp_path / "shot_")
    bpy.ops.render.render(animation=True)
    for frame, view in views.items():
        pixels = read_png(tmp_path / f"shot_{frame:04d}.png")
        assert np.abs(pixels.astype(int) - images[view, nearest(frame, 1, 48)]).max() <= 1, frame


def test_the_camera_view_of_the_viewport_keeps_step_too(
    scene: bpy.types.Scene, three_cameras: list[bpy.types.Object], tmp_path: Path
) -> None:
    """Backgrounds never render: which file the viewport will show is read from the evaluated camera."""
    write_take(tmp_path / "take_0001", ["Left", "Centre", "Right"], 10, 100)
    bpy.ops.collaborative_cameras.import_take(directory=str(tmp_path / "take_0001"))
    for frame in (1, 10, 47, 100, 120):
        scene.frame_set(frame)
        for view, camera in enumerate(three_cameras):
            evaluated = camera.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
            background = evaluated.background_images[0]
            assert Path(background.image.filepath) == tmp_path / "take_0001" / f"view_{view:02d}" / "0001.png"
            assert (background.image_user.use_cyclic, background.image_user.frame_duration) == (True, 1)
            assert background.image_user.frame_offset == nearest(min(max(frame, 10), 100), 10, 100)
            assert camera.data.show_background_images
            assert background.show_background_image


def corners_seen(camera: bpy.types.Object, kind: str) -> np.ndarray:
    """The corners of the camera's plane or image empty in its own axes, brought to a depth of one, (4, 2)."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    to_camera = camera.evaluated_get(depsgraph).matrix_world.normalized().inverted()
    shown = next(child for child in camera.children if child.type == kind)
    shown.hide_viewport = False  # what is hidden is not evaluated
    matrix = shown.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world
    corners = [Vector((x, y, 0)) for x in (-0.5, 0.5) for y in (-0.5, 0.5)]
    points = [to_camera @ (matrix @ corner) for corner in corners]
    return np.array([[point.x / -point.z, point.y / -point.z] for point in points])


@pytest.mark.parametrize("fit", ["AUTO", "HORIZONTAL", "VERTICAL"])
@pytest.mark.parametrize("resolution", [(160, 90), (90, 160), (100, 100)])
def test_plane_and_picture_fill_the_view_of_any_camera(
    scene: bpy.types.Scene, addon: ModuleType, tmp_path: Path, fit: str, resolution: tuple[int, int]
) -> None:
    """With shift, pixel aspect, animated lens and sensor, uneven scale and a parent; at first, last and between."""
    scene.render.resolution_x, scene.render.resolution_y = resolution
    scene.render.pixel_aspect_y = 1.5
    scene.frame_start, scene.frame_end = 1, 20
    camera = add_camera(scene, "A")
    data = camera.data
    data.sensor_fit = fit
    for frame, lens, shift_x, shift_y in ((1, 20, 0.3, -0.1), (20, 90, -0.2, 0.4)):
        data.lens, data.shift_x, data.shift_y = lens, shift_x, shift_y
        for path in ("lens", "shift_x", "shift_y"):
            data.keyframe_insert(path, frame=frame)
    parent = bpy.data.objects.new("parent", None)
    parent.scale = 3, 3, 3
    scene.collection.objects.link(parent)
    camera.parent = parent
    camera.matrix_local = (
        Matrix.Translation((1, 2, 3)) @ Matrix.Rotation(0.7, 4, (1, 2, 3)) @ Matrix.Diagonal((0.5, 2, 1.5, 1))
    )
    write_take(tmp_path / "take_0001", ["A"], 1, 20)
    bpy.ops.collaborative_cameras.import_take(directory=str(tmp_path / "take_0001"))
    for frame in (1, 8, 20):
        scene.frame_set(frame)
        view_frame = camera.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.view_frame(scene=scene)
        expected = np.array([[point.x / -point.z, point.y / -point.z] for point in view_frame])
        for kind in ("MESH", "EMPTY"):
            seen = corners_seen(camera, kind)
            assert (seen.min(0), seen.max(0)) == (
                pytest.approx(expected.min(0), abs=1e-5),
                pytest.approx(expected.max(0), abs=1e-5),
            )


def test_the_plane_is_never_clipped_away(scene: bpy.types.Scene, addon: ModuleType, tmp_path: Path) -> None:
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    camera = add_camera(scene, "A")
    camera.data.display_size = 0.01
    camera.data.clip_start = 2.0
    scene.collaborative_cameras.show_in_renders = True
    images = write_take(tmp_path / "take_0001", ["A"], 1, 250)
    bpy.ops.collaborative_cameras.import_take(directory=str(tmp_path / "take_0001"))
    pixels = render(scene, camera, 1, tmp_path / "render.png")
    assert np.abs(pixels.astype(int) - images[0, 0]).max() <= 1


def test_planes_are_seen_from_elsewhere_and_throw_no_light(
    scene: bpy.types.Scene, three_cameras: list[bpy.types.Object], tmp_path: Path
) -> None:
    """A camera of no take sees every plane, and a floor beside them stays as dark as without them."""
    scene.render.resolution_x = scene.render.resolution_y = 24
    scene.cycles.samples = 4
    for camera, x in zip(three_cameras, (-2, 0, 2), strict=True):
        camera.animation_data_clear()
        camera.location = x, 0, 0
    overview = add_camera(scene, "Overview", (0, 0, 6))
    overview.data.lens = 20
    bpy.ops.mesh.primitive_plane_add(size=100, location=(0, 0, -10))
    before = render(scene, overview, 1, tmp_path / "before.png")
    write_take(tmp_path / "take_0001", ["Left", "Centre", "Right"], 1, 48)
    bpy.ops.collaborative_cameras.import_take(directory=str(tmp_path / "take_0001"))
    after = render(scene, overview, 1, tmp_path / "after.png")
    changed = (after != before).any(axis=(0, 2))
    assert np.flatnonzero(np.diff(changed.astype(int))).size == 6  # three separate planes across the image
    assert not after[0].any()
    assert not after[-1].any()


def test_a_new_take_takes_the_place_of_the_one_before(
    scene: bpy.types.Scene, three_cameras: list[bpy.types.Object], tmp_path: Path
) -> None:
    """The earlier one stays in the file, and comes back when it is imported again; nothing piles up."""
    takes = [tmp_path / "take_0001", tmp_path / "take_0002"]
    images = [write_take(take, ["Left", "Centre", "Right"], 1, 48, seed) for seed, take in enumerate(takes)]
    for index in (0, 1, 0):
        bpy.ops.collaborative_cameras.import_take(directory=str(takes[index]))
        pixels = render(scene, three_cameras[1], 1, tmp_path / "render.png")
        assert np.abs(pixels.astype(int) - images[index][1, 0]).max() <= 1
    assert [len(camera.data.background_images) for camera in three_cameras] == [1, 1, 1]
    assert len(scene.collection.children) == 2
    assert len(three_cameras[0].children) == 4


def test_importing_a_take_twice_makes_nothing_twice(
    scene: bpy.types.Scene, three_cameras: list[bpy.types.Object], tmp_path: Path
) -> None:
    """By whatever path: the scene, the images and the materials are as after the first time, with the frames of now."""
    take = tmp_path / "take_0001"
    write_take(take, ["Left", "Centre", "Right"], 1, 48)
    (tmp_path / "link").symlink_to(tmp_path)
    kinds = ("collections", "objects", "images", "meshes", "materials", "cameras")
    counts = []
    for folder in (take, tmp_path / "link" / "take_0001"):
        bpy.ops.collaborative_cameras.import_take(directory=str(folder))
        counts.append({kind: len(getattr(bpy.data, kind)) for kind in kinds})
    assert counts[0] == counts[1]
    images = random_take(take, 3, FRAMES, SIZE, SIZE, seed=7)
    bpy.ops.collaborative_cameras.import_take(directory=str(take))
    pixels = render(scene, three_cameras[1], 1, tmp_path / "render.png")
    assert np.abs(pixels.astype(int) - images[1, 0]).max() <= 1


def test_an_artists_own_image_of_a_frame_is_left_alone(scene, addon: ModuleType, tmp_path: Path) -> None:
    add_camera(scene, "A")
    write_take(tmp_path / "take_0001", ["A"], 1, 48)
    own = bpy.data.images.load(str(tmp_path / "take_0001" / "view_00" / "0001.png"))
    bpy.ops.collaborative_cameras.import_take(directory=str(tmp_path / "take_0001"))
    assert (own.source, own.users) == ("FILE", 0)


def test_the_picture_of_a_view_shows_in_every_shading_and_in_no_render(
    scene: bpy.types.Scene, addon: ModuleType, tmp_path: Path
) -> None:
    """An image empty keeps step as the background does; the plane for renders is in no viewport."""
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    camera = add_camera(scene, "A")
    write_take(tmp_path / "take_0001", ["A"], 10, 100)
    bpy.ops.collaborative_cameras.import_take(directory=str(tmp_path / "take_0001"))
    picture, plane = (next(child for child in camera.children if child.type == kind) for kind in ("EMPTY", "MESH"))
    assert (picture.empty_display_type, picture.visible_get()) == ("IMAGE", True)
    assert not plane.visible_get()
    for frame in (1, 10, 47, 120):
        scene.frame_set(frame)
        user = picture.evaluated_get(bpy.context.evaluated_depsgraph_get()).image_user
        assert user.frame_offset == nearest(min(max(frame, 10), 100), 10, 100)
    picture.location.x += 1.0  # Blender copies its data anew, without a change of the frame
    bpy.context.view_layer.update()
    assert picture.evaluated_get(bpy.context.evaluated_depsgraph_get()).image_user.frame_current == FRAMES
    assert not render(scene, camera, 1, tmp_path / "render.png").any(), "a render shows the scene unless asked"


def test_a_script_switches_between_takes_by_their_folders(
    scene: bpy.types.Scene, three_cameras: list[bpy.types.Object], tmp_path: Path
) -> None:
    takes = [tmp_path / "take_0001", tmp_path / "take_0002"]
    images = [write_take(take, ["Left", "Centre", "Right"], 1, 48, seed) for seed, take in enumerate(takes)]
    for take in takes:
        bpy.ops.collaborative_cameras.import_take(directory=str(take))
    settings = scene.collaborative_cameras
    assert settings.take == str(takes[1])
    settings.take = str(takes[0])
    assert settings.take == str(takes[0])
    pixels = render(scene, three_cameras[1], 1, tmp_path / "render.png")
    assert np.abs(pixels.astype(int) - images[0][1, 0]).max() <= 1


def test_planes_and_backgrounds_can_be_hidden(
    scene: bpy.types.Scene, three_cameras: list[bpy.types.Object], tmp_path: Path
) -> None:
    write_take(tmp_path / "take_0001", ["Left", "Centre", "Right"], 1, 48)
    bpy.ops.collaborative_cameras.import_take(directory=str(tmp_path / "take_0001"))
    scene.collaborative_cameras.show_in_renders = False
    assert not render(scene, three_cameras[0], 1, tmp_path / "render.png").any()
    picture = next(child for child in three_cameras[0].children if child.type == "EMPTY")
    assert picture.visible_get()
    scene.collaborative_cameras.show_planes = False
    assert not picture.visible_get()
    scene.collaborative_cameras.show_backgrounds = False
    assert not three_cameras[0].data.background_images[0].show_background_image


def test_a_folder_without_a_take_says_so(scene: bpy.types.Scene, addon: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="holds no take"):
        bpy.ops.collaborative_cameras.import_take(directory=str(tmp_path))
    assert addon.runtime.session.state.problem.code == "take"


def test_a_take_without_its_frames_says_so(scene: bpy.types.Scene, addon: ModuleType, tmp_path: Path) -> None:
    add_camera(scene, "A")
    write_take(tmp_path / "take_0001", ["A"], 1, 48)
    (tmp_path / "take_0001" / "view_00" / "0001.png").unlink()
    with pytest.raises(RuntimeError, match=r"0001\.png cannot be read"):
        bpy.ops.collaborative_cameras.import_take(directory=str(tmp_path / "take_0001"))


def test_a_take_of_other_cameras_says_so(scene: bpy.types.Scene, addon: ModuleType, tmp_path: Path) -> None:
    write_take(tmp_path / "take_0001", ["Elsewhere"], 1, 48)
    with pytest.raises(RuntimeError, match=r"None of the take's cameras.*Elsewhere"):
        bpy.ops.collaborative_cameras.import_take(directory=str(tmp_path / "take_0001"))
