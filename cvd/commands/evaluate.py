"""`python -m cvd evaluate`: consistency of takes, and fidelity to their cameras."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ..errors import RequestError
from ..evaluation.clip import Clip, read_reference
from ..evaluation.distributions import frechet_distance, kernel_distance
from ..evaluation.matching import MATCHERS, load_matcher
from ..evaluation.packages import require
from ..evaluation.picture import draw_report
from ..evaluation.report import Evidence, TakeReport, details, evaluate_take, find_takes, load_take, summary
from .libraries import quiet_libraries
from .model_options import chosen_device, device_option

DESCRIPTION = (
    "Measures how well the views of a generation agree and how well it keeps to its cameras. Writes "
    "evaluation.json and evaluation.png, which shows the worst frame, to DIR."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `evaluate`."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="a generation, or a folder with several")
    parser.add_argument(
        "--model", metavar="NAME", help='"starter" adds measures of its world (default: the model that take.json names)'
    )
    parser.add_argument(
        "--matcher", choices=MATCHERS, help="features (default disk, with LightGlue; sift if that is not installed)"
    )
    parser.add_argument("--frames", type=int, metavar="N", help="measure only N evenly spread frames")
    parser.add_argument(
        "--clip", type=Path, metavar="FOLDER", help="CLIP model in transformers' layout, for CLIP-T and CLIP-F"
    )
    parser.add_argument(
        "--reference", type=Path, metavar="FOLDER", help="images to compare with, by FID and KID of --clip's features"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="default DIR/evaluation.json")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="default DIR/evaluation.png")
    device_option(parser)
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> None:
    """Evaluates every take below the folder. Prints a table, writes JSON and a picture of the worst take."""
    if arguments.reference is not None and arguments.clip is None:
        raise RequestError("--reference needs features to compare.", "Give a CLIP model with --clip.")
    quiet_libraries()
    device = chosen_device(arguments)
    folders = find_takes(arguments.folder)
    require("poselib")
    matcher = load_matcher(arguments.matcher, device)
    clip = None if arguments.clip is None else Clip(arguments.clip, device)
    reports: list[TakeReport] = []
    worst: tuple[TakeReport, Evidence] | None = None
    console = Console()
    for folder in track(folders, "evaluating", console=console, transient=True):
        found = evaluate_take(load_take(folder, arguments.frames, arguments.model), matcher, clip)
        reports.append(found[0])
        if worst is None or found[0].quality < worst[0].quality:
            worst = found
    document = summary(reports)
    if arguments.reference is not None and clip is not None:
        document["distribution"] = _distances(reports, read_reference(arguments.reference, clip))
    _print(console, document, reports)
    json_file = arguments.json or arguments.folder / "evaluation.json"
    document["per_take"] = [details(report) for report in reports]
    json_file.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(f"measures: {json_file}")
    if worst is not None and worst[0].consistency:
        picture = arguments.picture or arguments.folder / "evaluation.png"
        draw_report(picture, *worst)
        print(f"picture: {picture}")


def _distances(reports: list[TakeReport], reference: np.ndarray) -> dict[str, float]:
    features = np.concatenate(
        [each.embeddings.reshape(-1, reference.shape[1]) for each in reports if each.embeddings is not None]
    )
    return {
        "fid": frechet_distance(features, reference),
        "kid": kernel_distance(features, reference),
        "images": len(features),
        "reference_images": len(reference),
    }


def _print(console: Console, document: dict[str, Any], reports: list[TakeReport]) -> None:
    table = Table(
        title=f"{len(reports)} takes" if len(reports) > 1 else reports[0].name, box=box.SIMPLE, show_header=False
    )
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    for row in _rows(document):
        table.add_row(*row)
    console.print(table)


def _rows(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, value and remark of every measure."""
    views = document["consistency"]
    rows = [
        ("[bold]between views", "", f"matches by {document['matcher']}"),
        ("matches", _number(views["matches"], 1), "per frame and pair"),
        ("precision", _percent(views["precision"]), "matches near their epipolar line"),
        ("matching score", _percent(views["matching_score"]), "right matches among all keypoints"),
        ("median distance", _number(views["median_distance"], 2, " px"), "from the epipolar line"),
    ]
    if document["identical_mse"] is not None:
        rows.append(("identical cameras", _number(document["identical_mse"], 4), "mean squared difference"))
    rows += _fidelity_rows("camera, from matches", document["camera_fidelity"])
    if "starter" in document:
        starter = document["starter"]
        rows += [
            ("[bold]starter's world", "", ""),
            ("score S", _number(starter["score"], 3), "objects where cameras allow them"),
            ("named colours", _percent(starter["colours_right"]), "takes with all that are named"),
        ]
        if starter["camera_fidelity"]["poses"]:
            rows += _fidelity_rows("camera, from aligning the ground", starter["camera_fidelity"])
    if "clip" in document:
        rows += [
            ("[bold]CLIP", "", ""),
            ("CLIP-T", _number(document["clip"]["text"], 3), "frames and prompt"),
            ("CLIP-F", _number(document["clip"]["frame"], 3), "consecutive frames"),
        ]
    if "distribution" in document:
        found = document["distribution"]
        sizes = f"{found['images']} images against {found['reference_images']}"
        rows += [("FID", _number(found["fid"], 3), sizes), ("KID", _number(found["kid"], 5), sizes)]
    return rows


def _fidelity_rows(title: str, found: dict[str, Any]) -> list[tuple[str, str, str]]:
    counts = f"{found['poses']} poses, {found['failed']} failed, {found['skipped']} skipped"
    rows = [(f"[bold]{title}", "", counts)]
    for name in ("rotation", "translation"):
        areas = " ".join("-" if area is None else f"{area:.3f}" for area in found[f"{name}_auc"].values())
        rows.append((f"{name} error, median", _number(found[f"median_{name}"], 2, "°"), f"AUC 5, 10, 20°: {areas}"))
    return rows


def _number(value: float | None, digits: int, unit: str = "") -> str:
    return "-" if value is None else f"{value:.{digits}f}{unit}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
