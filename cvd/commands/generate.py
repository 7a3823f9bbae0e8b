"""`python -m cvd generate`: videos of one scene from cameras in files or from an official pattern."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from ..cameras.cameras import Cameras
from ..errors import RequestError
from ..pipeline import CollaborativeVideoPipeline, Output, Progress
from ..presets import draft_settings
from ..request import check_request
from ..sampling.denoise import SOLVERS
from ..sampling.pairing import default_schedule
from ..takes.takes import check_take_folder, read_take, write_take
from ..weights.model_info import ModelInfo
from .camera_options import add_camera_options, camera_arguments, load_cameras, output_option
from .model_options import add_model_options, find_model, load_model
from .prompts import Prompt, checked_seeds, read_prompts


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
    text.add_argument("--seed", type=int, nargs="+", metavar="N", help="one or several (default 0)")
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
        help="a finished generation: its views stay, and the cameras, in the units of the files that it was made from, "
        "give further ones",
    )
    output_option(parser)
    parser.set_defaults(func=run)


@dataclass(frozen=True)
class _Run:
    """One prompt with one seed, and where its result goes."""

    prompt: Prompt
    seed: int
    folder: Path


def run(arguments: argparse.Namespace) -> None:
    """Generates every prompt with every seed, and writes each when it is done.

    What can be refused is refused before the model is loaded.
    """
    runs = _runs(arguments)
    anchor = None if arguments.anchor is None else read_take(arguments.anchor)
    info = find_model(arguments)
    cameras, scale = load_cameras(arguments, info, anchor)
    if anchor is not None:
        cameras = _joined(anchor.cameras, cameras)
    settings = _settings(arguments, info, cameras.views)
    finished = None if anchor is None else anchor.output
    check_request(cameras, anchors=finished, **settings)
    for each in runs:
        check_take_folder(each.folder)
    pipe = load_model(arguments)
    common = _made_from(arguments, pipe) | {
        "scale": scale,
        "anchored_views": 0 if finished is None else len(finished.latents),
        **settings,
    }
    for number, each in enumerate(runs, 1):
        if len(runs) > 1:
            print(f"[{number}/{len(runs)}] {each.prompt.text}, seed {each.seed}")
        start = time.monotonic()
        output = _generate(pipe, each, cameras, settings | {"anchors": finished})
        seconds = round(time.monotonic() - start, 1)
        own = {"prompt": each.prompt.text, "negative_prompt": each.prompt.negative, "seed": each.seed}
        write_take(each.folder, output, cameras, own | common | {"seconds": seconds})
        print(f"{cameras.views} views of {cameras.frames} frames in {seconds} s: {each.folder}")


def _runs(arguments: argparse.Namespace) -> list[_Run]:
    """Every prompt with each of its seeds; several have a folder each."""
    prompts = _prompts(arguments)
    runs = [(index, prompt, seed) for index, prompt in enumerate(prompts) for seed in prompt.seeds]
    if len(runs) == 1:
        return [_Run(prompts[0], runs[0][2], arguments.out)]
    return [_Run(prompt, seed, arguments.out / f"prompt_{index:02d}" / f"seed_{seed}") for index, prompt, seed in runs]


def _prompts(arguments: argparse.Namespace) -> list[Prompt]:
    seeds = checked_seeds([0] if arguments.seed is None else arguments.seed)
    if not arguments.prompt_file:
        return [Prompt(arguments.prompt, arguments.negative_prompt, seeds)]
    if arguments.prompt or arguments.negative_prompt:
        raise RequestError("--prompt and --negative-prompt do not go with --prompt-file, which has its own.")
    prompts = read_prompts(arguments.prompt_file)
    with_seeds = sum(bool(each.seeds) for each in prompts)
    if arguments.seed is not None and with_seeds:
        print(f"--seed does not count for the {with_seeds} prompts that have seeds in {arguments.prompt_file}.")
    return [Prompt(each.text, each.negative, each.seeds or seeds) for each in prompts]


def _settings(arguments: argparse.Namespace, info: ModelInfo, views: int) -> dict[str, Any]:
    """How to sample: what is asked for, or else what suits the model and the number of views."""
    multistep, accumulate_step = default_schedule(views)
    settings = {
        "num_inference_steps": info.num_inference_steps,
        "guidance_scale": info.guidance_scale,
        "scheduler": "ddim",
        "multistep": multistep,
        "accumulate_step": accumulate_step,
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
    """The finished views' cameras, then the new ones, which have their size and frames."""
    c2w, K = (np.concatenate([getattr(each, name) for each in (finished, new)]) for name in ("c2w", "K"))
    return Cameras(c2w, K, finished.height, finished.width)


def _generate(pipe: CollaborativeVideoPipeline, wanted: _Run, cameras: Cameras, settings: dict[str, Any]) -> Output:
    with ProgressBar(
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    ) as bar:
        prompt = wanted.prompt
        return pipe(prompt.text, cameras, prompt.negative, seed=wanted.seed, on_step=_reporter(bar), **settings)


def _reporter(bar: ProgressBar) -> Callable[[Progress], None]:
    """Shows each stage as a bar of its own."""
    tasks: dict[str, Any] = {}

    def show(progress: Progress) -> None:
        if progress.stage not in tasks:
            tasks[progress.stage] = bar.add_task(progress.stage, total=progress.of)
        bar.update(tasks[progress.stage], completed=progress.step)

    return show


def _made_from(arguments: argparse.Namespace, pipe: CollaborativeVideoPipeline) -> dict[str, Any]:
    """What all runs have in common, apart from the sampling settings: enough to repeat them."""
    return {
        "model": asdict(pipe.model_info),
        "weights": {
            "model": arguments.model,
            "base_model": arguments.base_model,
            "adapter": not arguments.no_adapter,
            "lora": [text if "=" in text else f"{text}=1" for text in arguments.lora],
            "dtype": str(pipe.dtype).removeprefix("torch."),
            "device": str(pipe.device),
        },
        "cameras": camera_arguments(arguments),
        "anchor": None if arguments.anchor is None else str(arguments.anchor),
    }
