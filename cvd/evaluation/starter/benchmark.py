"""The starter model's benchmark: how well do its views agree, and does it follow prompts and cameras?

    python -m cvd.evaluation.starter.benchmark --out DIR                 64 held-out prompts, an hour on two cores
    python -m cvd.evaluation.starter.benchmark --out DIR --prompts 8     a quick look
    python -m cvd.evaluation.starter.benchmark --out DIR --arms rendered unrelated      a test of the measures

Every case has one prompt and two different trajectories. A take of each case is made in each of six arms:

    rendered        the ground truth; its score is G
    unrelated       the ground truth, but the second view shows another case's scene
    reconstructed   the ground truth, encoded and decoded by the model's autoencoder: the upper limit for any U-Net
    model           the model; its score is S
    alone           the same model without its epipolar modules; its score is I
    identical       the model, with the first trajectory for both views

Takes and measures that DIR already holds are used again; delete them to make them again.
`python -m cvd evaluate DIR/model` shows more of an arm.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from protocol.geometry import frame_indices
from protocol.models import STARTER_NAME, ModelReference
from protocol.settings import SamplingSettings
from protocol.takes import TAKE_FILE, view_folder, write_record

from ...cameras.cameras import Cameras
from ...errors import CVDError
from ...pipeline import CollaborativeVideoPipeline
from ...request import Request
from ...takes.export import to_uint8, write_frames
from ...takes.record import make_record
from ...training.latents import decode, encode, to_images
from ...weights.model_info import model_folder, read_info
from ..camera_fidelity import CameraFidelity, PoseError
from ..consistency import match_views
from ..identical import identical_trajectory_errors
from ..matching import Matcher, load_matcher
from ..picture import draw_contact_sheet
from ..report import Take, fidelity_summary, load_take, starter_fidelity, without_nan
from .cases import Case, held_out_cases
from .objects import Frames
from .score import find_all_objects, named_colours, starter_frames, starter_score

ARMS = ("rendered", "unrelated", "reconstructed", "model", "alone", "identical")
SCORED_FRAMES = 3
"""Number of evenly spread frames for the score. Poses use all frames."""

SHEET_CASES = 12
MEASURES = "measures.json"


@dataclass(frozen=True)
class Target:
    """The bound of one measure.

    Attributes:
        name: name in the printed table.
        arm, measure: arm and key of the measure.
        bound: smallest or largest value that meets the target.
        at_least: whether the bound is the smallest value.
        digits: number of printed decimal places.
    """

    name: str
    arm: str
    measure: str
    bound: float
    at_least: bool
    digits: int = 3

    def met(self, value: float | None) -> bool | None:
        """Whether a value meets the target; None: there is no value."""
        if value is None or math.isnan(value):
            return None
        return value >= self.bound if self.at_least else value <= self.bound


TARGETS = (
    Target("score of rendered pairs, G", "rendered", "score", 0.9, True),
    Target("score of unrelated pairs", "unrelated", "score", 0.2, False),
    Target("colours found in rendered pairs", "rendered", "colours_right", 0.95, True),
    Target("rotation error of rendered videos, median, degrees", "rendered", "median_rotation", 1.0, False, 2),
    Target("translation error of rendered videos, median, degrees", "rendered", "median_translation", 5.0, False, 2),
    Target("gain (S - I) / (G - I)", "model", "gain", 0.6, True),
    Target("rotation error, median, degrees", "model", "median_rotation", 3.0, False, 2),
    Target("translation error, median, degrees", "model", "median_translation", 15.0, False, 2),
    Target("prompts with all named colours", "model", "colours_right", 0.9, True),
    Target("identical trajectories, mean squared difference", "identical", "identical_mse", 0.01, False, 4),
)
"""The first five targets test the measures themselves, the others test the model."""


class Benchmark:
    """The arms of a number of cases in one folder.

    Args:
        folder: folder of the takes.
        model: "starter", or a folder in the package's own format with a model trained on the starter's world.
        count: number of cases.
        device: device that the model runs on.
    """

    def __init__(self, folder: Path, model: str, count: int, device: str) -> None:
        info = read_info(model_folder(model))
        self.folder, self.model, self.device = folder, model, device
        # The additional case is the unrelated view of the last one.
        *self.cases, self._next = held_out_cases(count + 1, info.sizes.native, info.frames.at_once)

    def make(self, arm: str, case: Case) -> None:
        """Writes one take of an arm, unless it exists."""
        folder = self.take_folder(arm, case)
        if (folder / TAKE_FILE).is_file():
            return
        cameras = case.same_camera_twice() if arm == "identical" else case.cameras
        if arm in ("rendered", "unrelated"):
            videos = case.rendered()
            if arm == "unrelated":
                videos[1] = [*self.cases, self._next][case.number + 1].rendered(cameras)[1]
        elif arm == "reconstructed":
            videos = self._reconstructed(case)
        else:
            videos = self._generated(case, cameras, synchronised=arm != "alone")
        _write_take(folder, videos, cameras, case)

    def measure(self, arm: str, case: Case, matcher: Matcher) -> dict[str, Any]:
        """The measures of one take, in JSON's types. They are read from disk if the take has been measured before."""
        path = self.take_folder(arm, case) / MEASURES
        if not path.is_file():
            measures = measure_take(load_take(path.parent), matcher)
            path.write_text(json.dumps(without_nan(measures)) + "\n", encoding="utf-8")
        return json.loads(path.read_text(encoding="utf-8"))

    def take_folder(self, arm: str, case: Case) -> Path:
        """The folder of a take."""
        return self.folder / arm / f"{case.number:02d}"

    def _reconstructed(self, case: Case) -> Frames:
        vae, frames = load_pipeline(self.model, self.device, synchronised=True).vae, case.rendered()
        decoded = decode(vae, encode(vae, torch.from_numpy(frames).flatten(0, 1)))
        return to_uint8(to_images(decoded)).reshape(frames.shape)

    def _generated(self, case: Case, cameras: Cameras, synchronised: bool) -> Frames:
        pipe = load_pipeline(self.model, self.device, synchronised)
        request = Request(case.prompt, cameras, settings=SamplingSettings(seed=case.number))
        return to_uint8(pipe.generate(request).videos)


def measure_take(take: Take, matcher: Matcher) -> dict[str, Any]:
    """The benchmark's measures of one take: score, colours, pose errors and the difference of identical views."""
    errors = identical_trajectory_errors(take.videos / 255.0, take.cameras)
    if errors:
        return {"identical_mse": float(np.mean([error.mse for error in errors]))}
    fidelity = starter_fidelity(take)
    picked = frame_indices(take.cameras.frames, SCORED_FRAMES)
    videos, cameras = take.videos[:, picked], take.cameras.resampled(SCORED_FRAMES)
    objects = find_all_objects(videos, cameras)
    matched = match_views([[matcher.detect(frame) for frame in video] for video in videos], matcher)
    frames = starter_frames(cameras, objects, matched)
    return {
        "score": starter_score(frames),
        "objects": _mean(frame.objects for frame in frames),
        "matches": _mean(frame.matches for frame in frames),
        "colours_right": float(named_colours(take.prompt, objects).right),
        "poses": None if fidelity is None else [asdict(error) for error in fidelity.errors],
    }


def summarise(measured: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Measures of every arm: means over takes, medians of pose errors over all poses; NaN: not measured.

    The model's `gain` is (S - I) / (G - I), computed from the means.
    """
    measures: dict[str, dict[str, Any]] = {}
    for arm, takes in measured.items():
        names = ("score", "objects", "matches", "colours_right", "identical_mse")
        measures[arm] = {name: _mean(take.get(name) for take in takes) for name in names}
        posed = [take["poses"] for take in takes if take.get("poses") is not None]
        errors = [PoseError(**error) for poses in posed for error in poses]
        counts = {"takes": len(takes), "takes_posed": len(posed)}
        measures[arm] |= fidelity_summary([CameraFidelity(errors, 0)]) | counts
    if {"rendered", "model", "alone"} <= measured.keys():
        truth, model, alone = (measures[arm]["score"] for arm in ("rendered", "model", "alone"))
        measures["model"]["gain"] = (model - alone) / (truth - alone)
    return measures


@cache
def load_pipeline(model: str, device: str, synchronised: bool) -> CollaborativeVideoPipeline:
    """A model; if not `synchronised`, its epipolar modules have no effect."""
    pipe = CollaborativeVideoPipeline.from_pretrained(model, device=device)
    if not synchronised:
        # An epipolar module whose last layer is zero has no effect. It is so before training, too.
        for _, module in pipe.unet.collaborative_modules():
            for parameter in module.epipolar_module.proj_out.parameters():
                parameter.zero_()
    return pipe


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns 0 after a finished benchmark, even if targets are missed, and 1 after an error."""
    parser = argparse.ArgumentParser(
        prog="python -m cvd.evaluation.starter.benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for takes, measures and contact sheet"
    )
    parser.add_argument("--prompts", type=int, default=64, metavar="N", help="the first N held-out cases (default 64)")
    parser.add_argument("--model", default=STARTER_NAME, metavar="FOLDER", help="another model of the starter's world")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS, help="arms to make (default: all)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda or cuda:N")
    arguments = parser.parse_args(argv)
    try:
        run(Benchmark(arguments.out, arguments.model, arguments.prompts, arguments.device), arguments.arms)
    except CVDError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def run(benchmark: Benchmark, arms: Sequence[str]) -> None:
    """Makes and measures all takes, writes benchmark.json and contact_sheet.png, and prints the targets."""
    matcher = load_matcher("disk", benchmark.device)
    measured: dict[str, list[dict[str, Any]]] = {arm: [] for arm in arms}
    console = Console()
    work = [(arm, case) for arm in arms for case in benchmark.cases]
    for arm, case in track(work, "making and measuring", console=console):
        benchmark.make(arm, case)
        measured[arm].append(benchmark.measure(arm, case, matcher))
    measures = summarise(measured)
    _print(console, measures)
    document = {
        "model": benchmark.model,
        "cases": len(benchmark.cases),
        "targets": [asdict(target) | {"value": _value(measures, target)} for target in TARGETS],
        "arms": measures,
        "takes": {
            arm: [{"prompt": case.prompt} | take for case, take in zip(benchmark.cases, takes, strict=True)]
            for arm, takes in measured.items()
        },
    }
    path = benchmark.folder / "benchmark.json"
    path.write_text(json.dumps(without_nan(document), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(f"measures: {path}")
    if "model" in arms:
        shown = [load_take(benchmark.take_folder("model", case)) for case in benchmark.cases[:SHEET_CASES]]
        draw_contact_sheet(benchmark.folder / "contact_sheet.png", shown)
        print(f"pictures: {benchmark.folder / 'contact_sheet.png'}")


def _write_take(folder: Path, videos: Frames, cameras: Cameras, case: Case) -> None:
    """Frames, cameras and take.json, which comes last: what `python -m cvd evaluate` reads."""
    for view, video in enumerate(videos):
        write_frames(view_folder(folder, view), video)
    world = ModelReference(name=STARTER_NAME, family="", sha256="")
    settings = SamplingSettings(seed=case.number)
    record = make_record(cameras, prompt=case.prompt, settings=settings, model=world, seconds=0.0)
    write_record(folder, record)


def _print(console: Console, measures: dict[str, dict[str, Any]]) -> None:
    table = Table(box=box.SIMPLE)
    for heading in ("", "value", "target", ""):
        table.add_column(heading, justify="right" if heading else "left")
    for target in TARGETS:
        value = _value(measures, target)
        shown = "-" if value is None or math.isnan(value) else f"{value:.{target.digits}f}"
        verdict = {True: "[green]met", False: "[red]missed", None: ""}[target.met(value)]
        table.add_row(target.name, shown, f"{'at least' if target.at_least else 'at most'} {target.bound:g}", verdict)
    console.print(table)
    arms = Table(box=box.SIMPLE)
    for heading in ("", "score", "its objects' part", "named colours", "rotation error", "translation error"):
        arms.add_column(heading, justify="right" if heading else "left")
    for arm, each in measures.items():
        names = ("score", "objects", "colours_right", "median_rotation", "median_translation")
        arms.add_row(arm, *("-" if math.isnan(each[name]) else f"{each[name]:.3f}" for name in names))
    console.print(arms)


def _value(measures: dict[str, dict[str, Any]], target: Target) -> float | None:
    return measures.get(target.arm, {}).get(target.measure)


def _numbers(values: Any) -> list[float]:
    return [value for value in values if value is not None and not math.isnan(value)]


def _mean(values: Any) -> float:
    """The mean of all values that are numbers; NaN if there is none."""
    found = _numbers(values)
    return float(np.mean(found)) if found else math.nan


if __name__ == "__main__":
    sys.exit(main())
