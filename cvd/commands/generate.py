"""`python -m cvd generate`: videos of one scene from cameras in files or from an official pattern."""

from __future__ import annotations

import argparse
import json
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from .. import export
from ..camera_files import cameras_from_realestate, read_transforms, write_transforms
from ..cameras import Cameras
from ..errors import RequestError
from ..pipeline import CollaborativeVideoPipeline, ModelInfo, Progress
from ..plots import plot_trajectories
from ..trajectories import PATTERNS, pattern_cameras
from .videos import write_videos


def add_parser(subparsers: Any) -> None:
    """Adds `generate` to the command line."""
    parser = subparsers.add_parser(
        "generate",
        help="one video per camera, all of the same scene",
        description="Generates one video per camera, all of the same scene.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--cameras", nargs="+", metavar="FILE", help="RealEstate10K text files, one per view")
    source.add_argument("--transforms", metavar="FILE", help="a transforms.json with all views")
    source.add_argument("--pattern", choices=PATTERNS, help="an official camera pattern")
    parser.add_argument("--views", type=int, help="number of views of the pattern (default 2)")
    parser.add_argument("--frames", type=int, default=16, help="frames per view (default 16)")
    parser.add_argument("--prompt", default="", help="what the scene shows")
    parser.add_argument("--negative-prompt", default="", help="what it must not show")
    parser.add_argument("--model", default="starter", help='"starter", or a folder written by convert')
    parser.add_argument("--steps", type=int, help="denoising steps (default: the model's)")
    parser.add_argument("--guidance", type=float, help="guidance scale (default: the model's)")
    parser.add_argument("--seed", type=int, default=0, help="fixes every random draw (default 0)")
    parser.add_argument("--size", metavar="WxH", help="size of the videos in pixels (default: the model's)")
    parser.add_argument("--multistep", type=int, help="recurrences per step (default: by the number of views)")
    parser.add_argument("--accumulate-step", type=int, help="matchings per recurrence (default: by number of views)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> None:
    """Generates, and writes frames, videos, cameras and what they were made from."""
    if arguments.views is not None and arguments.pattern is None:
        raise RequestError("--views goes with --pattern: files have as many views as they have.")
    pipe = CollaborativeVideoPipeline.from_pretrained(
        arguments.model, device=arguments.device, dtype=torch.float16 if arguments.device == "cuda" else torch.float32
    )
    cameras = _cameras(arguments, pipe.model_info)
    settings = {
        "prompt": arguments.prompt,
        "negative_prompt": arguments.negative_prompt,
        "num_inference_steps": arguments.steps or pipe.model_info.num_inference_steps,
        "guidance_scale": pipe.model_info.guidance_scale if arguments.guidance is None else arguments.guidance,
        "multistep": arguments.multistep,
        "accumulate_step": arguments.accumulate_step,
        "seed": arguments.seed,
    }
    start = time.monotonic()
    with _progress_bar() as bar:
        tasks: dict[str, Any] = {}

        def show(progress: Progress) -> None:
            if progress.stage not in tasks:
                tasks[progress.stage] = bar.add_task(progress.stage, total=progress.of)
            bar.update(tasks[progress.stage], completed=progress.step)

        output = pipe(cameras=cameras, on_step=show, **settings)
    seconds = round(time.monotonic() - start, 1)
    take = {"model": asdict(pipe.model_info), "seconds": seconds, **settings}
    write_take(arguments.out, export.to_uint8(output.videos), cameras, take)
    print(f"{cameras.views} views of {cameras.frames} frames in {seconds} s: {arguments.out}")


def write_take(folder: Path, videos: export.Frames, cameras: Cameras, take: dict[str, Any]) -> None:
    """Writes a generation: view_NN/0001.png, view_NN.mp4, grid.mp4, transforms.json, trajectories.png, take.json."""
    folder.mkdir(parents=True, exist_ok=True)
    for view, video in enumerate(videos):
        export.write_frames(folder / f"view_{view:02d}", video)
    write_videos(folder, videos)
    write_transforms(folder / "transforms.json", cameras)
    plot_trajectories(folder / "trajectories.png", cameras)
    (folder / "take.json").write_text(json.dumps(take, indent=2) + "\n", encoding="utf-8")


def _cameras(arguments: argparse.Namespace, info: ModelInfo) -> Cameras:
    width, height = _size(arguments.size, info)
    if arguments.pattern:
        return pattern_cameras(arguments.pattern, arguments.views or 2, height, width, arguments.frames)
    if arguments.cameras:
        return cameras_from_realestate(arguments.cameras, height, width, arguments.frames)
    return read_transforms(arguments.transforms).resampled(arguments.frames).resized(height, width)


def _size(text: str | None, info: ModelInfo) -> tuple[int, int]:
    if text is None:
        return info.native_size, info.native_size
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match:
        raise RequestError(f'The size "{text}" is not of the form WxH.', "Use 256x256, for instance.")
    return int(match[1]), int(match[2])


def _progress_bar() -> ProgressBar:
    return ProgressBar(
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
