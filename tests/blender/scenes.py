"""Scenes and pixels for the tests in Blender."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np


def add_camera(scene: bpy.types.Scene, name: str, location: tuple[float, float, float] = (0, 0, 0)) -> bpy.types.Object:
    """A camera that looks along -z."""
    camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    camera.location = location
    scene.collection.objects.link(camera)
    return camera


def add_moving_camera(scene: bpy.types.Scene, name: str, x: float) -> bpy.types.Object:
    """A camera that looks along -z, and moves from the origin to x by frame 48."""
    camera = add_camera(scene, name)
    camera.keyframe_insert("location", frame=1)
    camera.location = x, 0.0, 0.1
    camera.keyframe_insert("location", frame=48)
    return camera


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write (H, W, 3) uint8, its first row on top."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("written", width, height)
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = pixels[::-1] / 255.0
    image.pixels.foreach_set(rgba.ravel())
    image.filepath_raw = str(path)
    image.file_format = "PNG"
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save()
    bpy.data.images.remove(image)


def read_png(path: Path) -> np.ndarray:
    """(H, W, 3) uint8, the first row on top."""
    image = bpy.data.images.load(str(path))
    width, height = image.size
    values = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(values)
    bpy.data.images.remove(image)
    rgb = values.reshape(height, width, 4)[::-1, :, :3]
    return np.round(rgb * 255).astype(np.uint8)


def render(scene: bpy.types.Scene, camera: bpy.types.Object, frame: int, path: Path) -> np.ndarray:
    """The scene through `camera` at `frame`, (H, W, 3) uint8 as written to a PNG file."""
    scene.camera = camera
    scene.frame_set(frame)
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return read_png(path)


def random_take(folder: Path, views: int, frames: int, width: int, height: int, seed: int = 0) -> np.ndarray:
    """Write frames of random pixels as a take's files; returns them, (V, F, H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (views, frames, height, width, 3), dtype=np.uint8)
    for view in range(views):
        for frame in range(frames):
            write_png(folder / f"view_{view:02d}" / f"{frame + 1:04d}.png", images[view, frame])
    return images
