"""`python -m cvd generate`: videos of one scene from cameras in files or from an official pattern."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from protocol.models import ModelInfo
from protocol.settings import SETTINGS, SamplingSettings

from ..cameras import Cameras
from ..errors import RequestError
from ..family import VideoModel
from ..request import Hooks, Output, Progress, Request, draft_settings
from ..takes.record import make_record
from ..takes.takes import check_take_folder, read_take, write_take
from ..weights.registry import Registry
from .camera_options import add_camera_options, camera_arguments, load_cameras, output_option
from .model_options import add_model_options, load_model, load_options
from .prompts import Prompt, checked_seeds, read_prompts

SHORT_NAMES = {"num_inference_steps": "steps", "guidance_scale": "guidance"}
"""Names of options that differ from their settings' names."""


DESCRIPTION = (
    "Generates one video per camera, all of the same scene. With several prompts or seeds, each has a "
    "folder of its own in DIR, written as soon as it is finished."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `generate`."""
    add_camera_options(parser)
    add_model_options(parser)
    text = parser.add_argument_group("prompt")
    text.add_argument("--prompt", default="", help="what the scene shows")
    text.add_argument("--negative-prompt", default="", help="what it must not show")
    text.add_argument("--prompt-file", metavar="FILE", help="JSON of prompts, negative prompts and seeds, see the docs")
    text.add_argument("--seed", type=int, nargs="+", metavar="N", help="one or several seeds (default 0)")
    sampling = parser.add_argument_group("sampling")
    for setting in SETTINGS:
        if setting.name != "seed":  # several seeds can be given at once, see above
            sampling.add_argument(
                f"--{_option(setting.name)}",
                dest=setting.name,
                type=setting.kind,
                choices=setting.choices or None,
                metavar=None if setting.choices else "N",
                help=f"{setting.description.lower()}, {setting.range_text} (default: the model's)",
            )
    sampling.add_argument("--draft", action="store_true", help="quick draft with a third of the steps or less")
    sampling.add_argument(
        "--anchor",
        type=Path,
        metavar="DIR",
        help="finished take to add views to; its own views stay, and the new cameras are in the units of the files "
        "that it was made from",
    )
    output_option(parser)
    parser.set_defaults(func=run)


@dataclass(frozen=True)
class _Run:
    """One prompt with one seed, and the folder of its result."""

    prompt: Prompt
    seed: int
    folder: Path


def run(arguments: argparse.Namespace) -> None:
    """Generates every prompt with every seed, and writes each when it is finished.

    All possible checks come before the loading of the model.
    """
    runs = _runs(arguments)
    anchor = None if arguments.anchor is None else read_take(arguments.anchor)
    registry, options = Registry(), load_options(arguments)
    found = registry.open(arguments.model)
    chosen = load_cameras(arguments, found.info, anchor)
    for remark in chosen.remarks:
        print(remark)
    cameras = chosen.cameras if anchor is None else _joined(anchor.cameras, chosen.cameras)
    finished = None if anchor is None else anchor.output
    settings = _settings(arguments, found.info)
    for each in runs:
        _request(each, cameras, settings, finished).check(found.info)
        check_take_folder(each.folder)
    model = load_model(arguments, registry, found, options)
    reference = registry.reference(found, options)
    for number, each in enumerate(runs, 1):
        if len(runs) > 1:
            print(f"[{number}/{len(runs)}] {each.prompt.text}, seed {each.seed}")
        request = _request(each, cameras, settings, finished)
        start = time.monotonic()
        told: list[str] = []
        output = _generate(model, request, told)
        seconds = round(time.monotonic() - start, 1)
        record = make_record(
            cameras,
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            settings=request.resolved(found.info),
            model=reference,
            seconds=seconds,
            scale=chosen.scale,
            anchored=() if anchor is None else anchor.record.view_names,
            warnings=told,
            options=_options(arguments),
        )
        write_take(each.folder, output, record)
        print(f"{cameras.views} views of {cameras.frames} frames in {seconds} s: {each.folder}")


def _runs(arguments: argparse.Namespace) -> list[_Run]:
    """Every prompt with each of its seeds. Several have a folder each."""
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


def _option(setting: str) -> str:
    """The name of a setting's option."""
    return SHORT_NAMES.get(setting, setting).replace("_", "-")


def _settings(arguments: argparse.Namespace, info: ModelInfo) -> SamplingSettings:
    """The settings apart from the seed: those of the options and, for a draft, of the draft."""
    names = [setting.name for setting in SETTINGS if setting.name != "seed"]
    asked = SamplingSettings(**{name: getattr(arguments, name) for name in names})
    return draft_settings(asked, info) if arguments.draft else asked


def _request(wanted: _Run, cameras: Cameras, settings: SamplingSettings, anchors: Output | None) -> Request:
    settings = msgspec.structs.replace(settings, seed=wanted.seed)
    return Request(wanted.prompt.text, cameras, wanted.prompt.negative, settings, anchors)


def _joined(finished: Cameras, new: Cameras) -> Cameras:
    """The cameras of the finished views, then the new ones, of the same size and frames."""
    c2w, K = (np.concatenate([getattr(each, name) for each in (finished, new)]) for name in ("c2w", "K"))
    return Cameras(c2w, K, finished.height, finished.width)


def _generate(model: VideoModel, request: Request, told: list[str]) -> Output:
    """Shows progress and warnings. Warnings are added to `told`, too."""

    def warn(message: str) -> None:
        told.append(message)
        print(f"warning: {message}", file=sys.stderr)

    with ProgressBar(
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    ) as bar:
        return model.generate(request, Hooks(on_progress=_reporter(bar), on_warning=warn))


def _reporter(bar: ProgressBar) -> Callable[[Progress], None]:
    """Shows each stage as its own bar."""
    tasks: dict[str, Any] = {}

    def show(progress: Progress) -> None:
        if progress.stage not in tasks:
            tasks[progress.stage] = bar.add_task(progress.stage, total=progress.of)
        bar.update(tasks[progress.stage], completed=progress.step)

    return show


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Options that all runs share, beside the settings, to repeat them."""
    return {
        "cameras": camera_arguments(arguments),
        "anchor": None if arguments.anchor is None else str(arguments.anchor),
        "draft": arguments.draft,
        "model": arguments.model,
        "base_model": None if arguments.base_model is None else str(arguments.base_model),
        "adapter": not arguments.no_adapter,
        "lora": [text if "=" in text else f"{text}=1" for text in arguments.lora],
        "device": arguments.device,
        "dtype": arguments.dtype,
    }
