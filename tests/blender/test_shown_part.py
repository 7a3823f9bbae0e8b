"""Frames see more than the render where no size of the model fits it. What is shown of them is exactly the render."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest
from blender.places import MODULE
from blender.scenes import add_camera, render
from blender.written_takes import FRAMES, write_take
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

SIZES = {
    "16:9": (1920, 1080, 1.0, 1.0),
    "2.39:1": (2390, 1000, 1.0, 1.0),
    "portrait": (1080, 1920, 1.0, 1.0),
    "square": (1000, 1000, 1.0, 1.0),
    "wide pixels": (1440, 1080, 1.5, 1.0),
    "high pixels": (1000, 1000, 1.0, 1.25),
}
HALF_A_PIXEL = 0.5


@pytest.fixture(params=SIZES)
def filmed(request: pytest.FixtureRequest, scene: bpy.types.Scene, addon: ModuleType, tmp_path: Path):
    """A camera with shift, turned, and with a take of the size that the starter makes. (camera, record)"""
    settings = scene.render
    settings.resolution_x, settings.resolution_y, settings.pixel_aspect_x, settings.pixel_aspect_y = SIZES[
        request.param
    ]
    camera = add_camera(scene, "A", (0.3, -2.0, 1.0))
    camera.rotation_euler = 1.1, 0.2, 0.4
    camera.data.lens, camera.data.shift_x, camera.data.shift_y = 40, 0.1, -0.05
    scene.collaborative_cameras.model = "starter"
    generation, models, takes = (
        importlib.import_module(f"{MODULE}.{name}")
        for name in ("operators.generation", "protocol.models", "protocol.takes")
    )
    asked = generation._submission(bpy.context, [camera], "")
    starter = models.ModelInfo(
        name="starter",
        sizes=models.SizeRule(native=128, multiple=64),
        frames=models.FrameRule(at_once=16, most=128),
        defaults=addon.protocol.settings.SamplingSettings(),
        settings=(),
    )
    made = asked.request([starter])
    size = made.height, made.width
    take = tmp_path / "take_0001"
    write_take(take, ["A"], 1, 48, size=size, c2w=asked.cameras.c2w, K=asked.K_at(size), shown=asked.shown_at(size))
    bpy.ops.collaborative_cameras.import_take(directory=str(take))
    return camera, takes.read_record(take)


def in_render(scene: bpy.types.Scene, camera: bpy.types.Object, point: Vector) -> np.ndarray:
    """Where Blender projects a point to, as shares of the render's width and height, from its upper left corner."""
    x, y, _ = world_to_camera_view(scene, camera.evaluated_get(bpy.context.evaluated_depsgraph_get()), point)
    return np.array([x, 1 - y])


def shown_matrix(camera: bpy.types.Object, kind: str) -> tuple[bpy.types.Object, np.ndarray]:
    """The plane or the picture of the camera, and its matrix."""
    shown = next(child for child in camera.children if child.type == kind)
    shown.hide_viewport = False  # what is hidden is not evaluated
    return shown, shown.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world


def on_plane(camera: bpy.types.Object, record, pixel: np.ndarray) -> Vector:
    """The point of the plane that shows a pixel of the frame, by the plane's texture coordinates."""
    plane, matrix = shown_matrix(camera, "MESH")
    uvs = np.array([loop.uv for loop in plane.data.uv_layers[0].data])
    corners = np.array([vertex.co[:2] for vertex in plane.data.vertices])
    uv = np.array([pixel[0] / record.width, 1 - pixel[1] / record.height])
    share = (uv - uvs.min(0)) / (uvs.max(0) - uvs.min(0))
    return matrix @ Vector((*(corners.min(0) + share * (corners.max(0) - corners.min(0))), 0.0))


def on_picture(camera: bpy.types.Object, record, pixel: np.ndarray) -> Vector:
    """The point of the image empty that shows a pixel: Blender draws the image's longer side one unit long."""
    picture, matrix = shown_matrix(camera, "EMPTY")
    longer = max(record.width, record.height)
    side = picture.empty_display_size
    offset = np.array(picture.empty_image_offset) + 0.5
    assert not offset.any()
    x, y = (pixel[0] - record.width / 2) / longer * side, (record.height / 2 - pixel[1]) / longer * side
    return matrix @ Vector((x, y, 0.0))


def on_background(aspect: float, camera: bpy.types.Object, record, pixel: np.ndarray) -> np.ndarray:
    """Where in the camera's frame its background shows a pixel: "Crop" scales the image until it covers the frame."""
    background = camera.data.background_images[0]
    frame = np.array([aspect, 1.0])
    size = np.array([record.width, record.height])
    scale = frame / size if background.frame_method == "STRETCH" else max(frame / size)
    return 0.5 + (pixel - size / 2) * scale / frame


def test_a_point_lands_on_the_same_pixel_everywhere(filmed, scene: bpy.types.Scene, addon: ModuleType) -> None:
    """In Blender's projection, and where plane, picture and background show the pixel that the record has for it."""
    camera, record = filmed
    aspect = addon.cameras.export.render_size(scene).aspect
    c2w, K = np.array(record.c2w[0][0]), np.array(record.K[0][0])
    assert K[0, 0] == pytest.approx(K[1, 1])
    assert (record.width % 64, record.height % 64) == (0, 0)
    assert record.shown[0] / record.shown[1] == pytest.approx(aspect)
    rng = np.random.default_rng(0)
    for _ in range(40):
        ray = np.array([*rng.uniform(-0.6, 0.6, 2), 1.0])
        point = Vector((c2w @ [*(ray * rng.uniform(1, 20)), 1.0])[:3])
        pixel = (K @ ray)[:2]
        expected = in_render(scene, camera, point)
        places = {
            "plane": in_render(scene, camera, on_plane(camera, record, pixel)),
            "picture": in_render(scene, camera, on_picture(camera, record, pixel)),
            "background": on_background(aspect, camera, record, pixel),
        }
        for name, place in places.items():
            assert np.abs((place - expected) * record.shown).max() < HALF_A_PIXEL, name


def test_renders_show_the_part_pixel_by_pixel(scene: bpy.types.Scene, addon: ModuleType, tmp_path: Path) -> None:
    """A 16:9 render of the starter's 192 x 128 pixels has the 108 rows in the middle."""
    scene.render.resolution_x, scene.render.resolution_y = 192, 108
    camera = add_camera(scene, "A")
    images = write_take(tmp_path / "take_0001", ["A"], 1, 48, size=(128, 192), shown=(192.0, 108.0))
    scene.collaborative_cameras.show_in_renders = True
    bpy.ops.collaborative_cameras.import_take(directory=str(tmp_path / "take_0001"))
    assert images.shape == (1, FRAMES, 128, 192, 3)
    pixels = render(scene, camera, 48, tmp_path / "render.png")
    assert np.abs(pixels.astype(int) - images[0, -1, 10:118]).max() <= 1
    assert camera.data.background_images[0].frame_method == "CROP"
