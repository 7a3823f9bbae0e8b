"""Runs the demonstration: `python -m blender_addon.demo.run_demo --zip ZIP --out DIR --prompt TEXT`.

It installs the extension from its zip into a Blender without any settings, builds the scene, generates and waits.
DIR then has the take (frames, latents and take.json), scene.blend and review.png. The service must be installed.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

MODULE = "bl_ext.user_default.collaborative_cameras"
DEFAULT_PROMPT = "a red cube and a blue sphere on a green checkered floor"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Generate a video for each of three cameras, from inside Blender.")
    parser.add_argument("--zip", type=Path, required=True, help="the extension")
    parser.add_argument("--out", type=Path, required=True, help="folder for everything that is made")
    parser.add_argument("--prompt", default=DEFAULT_PROMPT)
    options = parser.parse_args()
    out = options.out.absolute()
    if "bpy" in sys.modules:  # in a Blender, which was started without the user's settings
        return run(options.zip.absolute(), out, options.prompt)
    with tempfile.TemporaryDirectory(prefix="blender-user-", ignore_cleanup_errors=True) as resources:
        os.environ["BLENDER_USER_RESOURCES"] = resources  # read when bpy is imported
        return run(options.zip.absolute(), out, options.prompt)


def run(zip_path: Path, out: Path, prompt: str) -> int:
    """Everything, in order. The exit code."""
    import bpy

    from .review import render_review
    from .shot import build_shot
    from .terminal import Bar

    bpy.context.preferences.filepaths.save_version = 0  # no scene.blend1
    bpy.ops.extensions.package_install_files(filepath=str(zip_path), repo="user_default", enable_on_install=True)
    names = ("service.session", "runtime", "protocol.takes")
    session, runtime, takes = (importlib.import_module(f"{MODULE}.{name}") for name in names)
    out.mkdir(parents=True, exist_ok=True)
    _clear(out, takes)
    bar = Bar()

    def show(state: Any) -> None:
        for job_id, job in state.jobs.items():
            bar.show(job.fraction, state.summary(job_id))

    try:
        scene = build_shot(prompt)
        print(f"Three cameras, frames {scene.frame_start} to {scene.frame_end}: “{prompt}”", flush=True)
        operators: Any = bpy.ops.collaborative_cameras  # type: ignore[attr-defined]  # registered by the extension
        operators.generate(folder=str(out))
        runtime.session.wait(show)
        render_review(scene, out / "review.png", bar.show)
        bpy.ops.wm.save_as_mainfile(filepath=str(out / "scene.blend"), check_existing=False)
    except session.GenerationFailedError as error:
        bar.close()
        print(error.problem.text(), file=sys.stderr)
        return 1
    finally:
        bar.close()
        bpy.ops.preferences.addon_disable(module=MODULE)
    return 0


def _clear(out: Path, takes: Any) -> None:
    """Remove what an earlier demonstration left, so that its frames are not taken for this one's.

    takes: the module `protocol.takes`.
    """
    for _, folder in takes.view_folders(out):
        shutil.rmtree(folder)
    for name in (takes.TAKE_FILE, "scene.blend", "review.png"):
        (out / name).unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
