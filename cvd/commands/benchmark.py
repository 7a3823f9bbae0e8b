"""`python -m cvd benchmark`: the cost of one U-Net call, compared with AnimateDiff's."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from inspect import signature

from rich.console import Console
from rich.table import Table

from ..evaluation.unet_cost import SCALE_FACTOR, Comparison, compare
from ..memory import PRECISIONS
from ..models.unet import CollaborativeUNet
from ..weights.configs import read_config
from ..weights.devices import DTYPES
from ..weights.model_info import STARTER, vae_scale_factor
from .libraries import quiet_libraries
from .model_options import chosen_device, device_option

DESCRIPTION = (
    "Times alternating calls of our U-Net and diffusers' plain AnimateDiff U-Net in one run, on the "
    "same batch, with random weights. Counts operations and memory."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `benchmark`."""
    parser.add_argument(
        "--architecture",
        choices=("official", "starter"),
        default="official",
        help="widths of the U-Net (default official: 14 GB of memory in float32, and minutes per call on a processor)",
    )
    parser.add_argument("--views", type=int, default=2, metavar="N", help="number of views (default 2)")
    parser.add_argument("--frames", type=int, default=16, metavar="F", help="frames per view (default 16)")
    parser.add_argument("--size", type=int, default=256, metavar="PIXELS", help="width and height (default 256)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="timed calls of each (default 3)")
    device_option(parser)
    parser.add_argument("--dtype", choices=PRECISIONS, default="float32", help="of the weights (default float32)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> None:
    """Measures, and prints a table or JSON."""
    quiet_libraries()
    arguments.device = chosen_device(arguments)
    is_starter = arguments.architecture == "starter"
    config = read_config(STARTER / "unet" / "config.json") if is_starter else {}
    result = compare(
        {name: value for name, value in config.items() if name in signature(CollaborativeUNet).parameters},
        arguments.views,
        arguments.frames,
        arguments.size,
        arguments.repeats,
        DTYPES[arguments.dtype],
        arguments.device,
        vae_scale_factor(read_config(STARTER / "vae" / "config.json")) if is_starter else SCALE_FACTOR,
    )
    if arguments.json:
        settings = {name: value for name, value in vars(arguments).items() if name not in ("func", "json", "command")}
        print(json.dumps({"settings": settings, "time_ratio": result.time_ratio, **asdict(result)}))
    else:
        Console().print(_table(result))


def _table(result: Comparison) -> Table:
    table = Table(title="One U-Net call")
    for column in ("", "ours", "AnimateDiff", "ratio"):
        table.add_column(column, justify="left" if not column else "right")
    ours, plain = result.ours, result.animatediff
    table.add_row(
        "seconds (median)", f"{ours.median_seconds:.3f}", f"{plain.median_seconds:.3f}", f"{result.time_ratio:.2f}"
    )
    table.add_row("TFLOP", f"{ours.flops / 1e12:.3f}", f"{plain.flops / 1e12:.3f}", f"{ours.flops / plain.flops:.2f}")
    ratio = ours.peak_bytes / max(plain.peak_bytes, 1)
    table.add_row("peak memory, GB", f"{ours.peak_bytes / 1e9:.3f}", f"{plain.peak_bytes / 1e9:.3f}", f"{ratio:.2f}")
    return table
