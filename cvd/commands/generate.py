"""`python -m cvd generate`: videos of one scene from cameras in files or from an official pattern."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from ..cameras import Cameras
from ..errors import RequestError
from ..pipeline import CollaborativeVideoPipeline, ModelInfo, Output, Progress, check_request
from ..presets import draft_settings
from ..prompts import Prompt, read_prompts
from ..sampling import SOLVERS
from ..takes import read_take, write_take
from .camera_options import add_camera_options, load_cameras, output_option
from .model_options import add_model_options, find_model, load_model


def add_parser(subparsers: Any) -> None:
    """Adds `generate` to the command line."""
    parser = subparsers.add_parser(
        "generate",
        help="one video per camera, all of the same scene",
        description="Generates one video per camera, all of the same scene. With several prompts or seeds, each has a "
        "folder of its own in DIR, written as soon as it is finished.",
    )
    add_camera_options(parser)
    add_model_options(parser)
    text = parser.add_argument_group("prompt")
    text.add_argument("--prompt", default="", help="what the scene shows")
    text.add_argument("--negative-prompt", default="", help="what it must not show")
    text.add_argument("--prompt-file", metavar="FILE", help="prompts, negative prompts and seeds as JSON, see the docs")
    text.add_argument("--seed", type=int, nargs="+", default=[0], metavar="N", help="one or several (default 0)")
    sampling = parser.add_argument_group("sampling")
    sampling.add_argument("--steps", type=int, help="denoising steps (default: the model's)")
    sampling.add_argument("--guidance", type=float, help="guidance scale (default: the model's)")
    sampling.add_argument("--scheduler", choices=SOLVERS, help="solver (default: ddim, the official one)")
    sampling.add_argument("--multistep", type=int, help="recurrences per step (default: by the number of views)")
    sampling.add_argument("--accumulate-step", type=int, help="matchings per recurrence (default: by number of views)")
    sampling.add_argument("--draft", action="store_true", help="a quick look, at a third of the steps or less")
    sampling.add_argument(
        "--anchor",
        type=Path,
        metavar="DIR",
        help="a finished generation: its views stay, the cameras give further ones",
    )
    output_option(parser)
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> None:
    """Generates every prompt with every seed, and writes each when it is done."""
    prompts = _prompts(arguments)
    finished = None if arguments.anchor is None else read_take(arguments.anchor)
    info = find_model(arguments)
    cameras = load_cameras(arguments, info.native_size)
    if finished is not None:
        cameras = _joined(finished[1], cameras)
    settings = _settings(arguments, info) | {"anchors": None if finished is None else finished[0]}
    checked = ("num_inference_steps", "multistep", "accumulate_step", "anchors")
    check_request(cameras, **{name: settings[name] for name in checked})
    pipe = load_model(arguments)
    runs = [(index, prompt, seed) for index, prompt in enumerate(prompts) for seed in prompt.seeds]
    for number, (index, prompt, seed) in enumerate(runs, 1):
        folder: Path = arguments.out
        if len(runs) > 1:
            folder = folder / f"prompt_{index:02d}" / f"seed_{seed}"
            print(f"[{number}/{len(runs)}] {prompt.text}, seed {seed}")
        start = time.monotonic()
        output = _generate(pipe, prompt, cameras, seed, settings)
        seconds = round(time.monotonic() - start, 1)
        write_take(folder, output, cameras, _made_from(pipe, prompt, seed, settings, seconds))
        print(f"{cameras.views} views of {cameras.frames} frames in {seconds} s: {folder}")


def _prompts(arguments: argparse.Namespace) -> list[Prompt]:
    seeds = tuple(arguments.seed)
    if not arguments.prompt_file:
        return [Prompt(arguments.prompt, arguments.negative_prompt, seeds)]
    if arguments.prompt or arguments.negative_prompt:
        raise RequestError("--prompt and --negative-prompt do not go with --prompt-file, which has its own.")
    return [Prompt(each.text, each.negative, each.seeds or seeds) for each in read_prompts(arguments.prompt_file)]


def _settings(arguments: argparse.Namespace, info: ModelInfo) -> dict[str, Any]:
    settings = {
        "num_inference_steps": info.num_inference_steps,
        "guidance_scale": info.guidance_scale,
        "scheduler": "ddim",
        "multistep": None,
        "accumulate_step": None,
    }
    if arguments.draft:
        settings |= draft_settings(info)
    asked = {
        "num_inference_steps": arguments.steps,
        "guidance_scale": arguments.guidance,
        "scheduler": arguments.scheduler,
        "multistep": arguments.multistep,
        "accumulate_step": arguments.accumulate_step,
    }
    return settings | {name: value for name, value in asked.items() if value is not None}


def _joined(finished: Cameras, new: Cameras) -> Cameras:
    """The finished views' cameras, then the new ones."""
    new = new.resized(finished.height, finished.width)
    if new.frames != finished.frames:
        raise RequestError(
            f"The new cameras have {new.frames} frames, the finished ones {finished.frames}.", "Set --frames to match."
        )
    c2w, K = (np.concatenate([getattr(each, name) for each in (finished, new)]) for name in ("c2w", "K"))
    return Cameras(c2w, K, finished.height, finished.width)


def _generate(
    pipe: CollaborativeVideoPipeline, prompt: Prompt, cameras: Cameras, seed: int, settings: dict[str, Any]
) -> Output:
    with ProgressBar(
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    ) as bar:
        return pipe(prompt.text, cameras, prompt.negative, seed=seed, on_step=_reporter(bar), **settings)


def _reporter(bar: ProgressBar) -> Callable[[Progress], None]:
    """Shows each stage as a bar of its own."""
    tasks: dict[str, Any] = {}

    def show(progress: Progress) -> None:
        if progress.stage not in tasks:
            tasks[progress.stage] = bar.add_task(progress.stage, total=progress.of)
        bar.update(tasks[progress.stage], completed=progress.step)

    return show


def _made_from(
    pipe: CollaborativeVideoPipeline, prompt: Prompt, seed: int, settings: dict[str, Any], seconds: float
) -> dict[str, Any]:
    named = {name: value for name, value in settings.items() if name != "anchors"}
    anchored = 0 if settings["anchors"] is None else len(settings["anchors"].latents)
    return {
        "prompt": prompt.text,
        "negative_prompt": prompt.negative,
        "seed": seed,
        **named,
        "anchored_views": anchored,
        "model": asdict(pipe.model_info),
        "seconds": seconds,
    }
