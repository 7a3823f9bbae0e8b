"""A picture of the whole: the cameras at their last frame, and in front of each what it generated."""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
from mathutils import Vector

from ..blender_types import camera_settings, scene_settings
from .shot import FRAME_END, HEIGHT, target

WIDTH, HEIGHT_PIXELS = 900, 600
SAMPLES, SAMPLES_WITHOUT_DENOISER = 40, 64


def render_review(scene: bpy.types.Scene, path: Path, show: Callable[[float, str], None]) -> None:
    """Render the scene from behind and above its cameras to `path`.

    show: function that takes how much of the render is done, 0 to 1, and the same in words.
    """
    _add_light(scene)
    before = scene.camera, scene.render.resolution_x, scene.render.resolution_y
    scene_settings(scene).show_in_renders = True
    scene.camera = _add_overview(scene)
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT_PIXELS
    scene.render.engine = "CYCLES"  # type: ignore[assignment]  # an add-on, which the stubs do not know
    denoises = _can_denoise()
    scene.cycles.samples = SAMPLES if denoises else SAMPLES_WITHOUT_DENOISER
    scene.cycles.max_bounces = 3
    scene.cycles.use_denoising = denoises
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = str(path)
    scene.frame_set(FRAME_END)
    with _progress(show):
        bpy.ops.render.render(write_still=True)
    scene.camera, scene.render.resolution_x, scene.render.resolution_y = before
    scene_settings(scene).show_in_renders = False


def _can_denoise() -> bool:
    """Whether this Blender has a denoiser: builds of Linux distributions have none, and fail to render with it."""
    return bool(getattr(importlib.import_module("_cycles"), "with_openimagedenoise", False))


@contextlib.contextmanager
def _progress(show: Callable[[float, str], None]) -> Iterator[None]:
    """Pass on what Cycles says about its progress, such as "Remaining: 00:12.19 | Mem: 19M | Sample 1/60"."""

    def on_stats(stats: str, *_: object) -> None:
        sample = re.search(r"Sample (\d+)/(\d+)", stats)
        if sample:
            remaining = re.search(r"Remaining: ([\d:]+)", stats)
            left = f", {remaining[1]} left" if remaining else ""
            show(int(sample[1]) / int(sample[2]), f"Rendering {sample[1]} / {sample[2]}{left}")

    handlers: list[Any] = bpy.app.handlers.render_stats  # the stubs say that they are given a scene
    handlers.append(on_stats)
    try:
        yield
    finally:
        handlers.remove(on_stats)


def _add_overview(scene: bpy.types.Scene) -> bpy.types.Object:
    data = bpy.data.cameras.new("Overview")
    data.lens = 48
    overview = bpy.data.objects.new("Overview", data)
    overview.location = (0.45, -1.15, 1.30)
    aim = Vector((0.03, 0.19, HEIGHT + 0.06))
    overview.rotation_euler = (aim - overview.location).to_track_quat("-Z", "Y").to_euler()
    camera_settings(overview).use = False
    scene.collection.objects.link(overview)
    return overview


def _add_light(scene: bpy.types.Scene) -> None:
    """Add a large soft light from the left, and a sky that fills the shadows."""
    light: Any = bpy.data.lights.new("Softbox", "AREA")
    light.shape, light.size, light.energy = "DISK", 1.4, 100.0
    lamp = bpy.data.objects.new("Softbox", light)
    lamp.location = (-1.6, -0.6, 2.8)
    lamp.rotation_euler = (target() - lamp.location).to_track_quat("-Z", "Y").to_euler()
    scene.collection.objects.link(lamp)
    world = bpy.data.worlds.new("Sky")
    if bpy.app.version < (5, 0, 0):
        world.use_nodes = True
    background: Any = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (0.75, 0.83, 0.95, 1.0)
    background.inputs["Strength"].default_value = 0.45
    scene.world = world
