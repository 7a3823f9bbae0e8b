"""`python -m cvd train`: the stages of CVD, and the commands that prepare and ship the starter model."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import torch

from ..pipeline import CollaborativeVideoPipeline
from ..starter.captions import VOCABULARY
from ..weights.model_info import vae_scale_factor
from .autoencoder import AutoencoderStage, DecoderStage
from .batches import Mixture
from .datasets import open_dataset
from .errors import TrainingError
from .image import ImageStage
from .latents import encode_pool, encoder_fingerprint
from .loop import Settings, Trainer, start_accelerator
from .model import (
    STARTER_INFO,
    Sizes,
    build_autoencoder,
    build_image_unet,
    load_run_model,
    load_run_part,
    ship,
    start_model,
)
from .pool import render_clips, render_stills
from .stage import Stage
from .text import build_text_encoder, build_tokenizer
from .video import VIDEO_STAGES

STAGES = {
    "autoencoder": "the starter's autoencoder, on stills",
    "decoder": "the autoencoder's decoder alone, on stills; latents stay valid",
    "image": "the image U-Net and its text encoder, on stills",
    "motion": "the motion modules, on videos (AnimateDiff)",
    "camera": "the camera encoder and the merge layers, on videos with cameras (CameraCtrl)",
    "epipolar": "the epipolar modules, on pairs of videos (CVD)",
    "joint": "the U-Net, the camera encoder and the text encoder, on pairs of videos with cameras",
}
STARTER_MINUTES = {
    "autoencoder": 118.0,
    "decoder": 15.0,
    "image": 188.0,
    "motion": 8.0,
    "camera": 7.0,
    "epipolar": 10.0,
    "joint": 556.0,
}
"""Minutes of each stage on two processor cores, for the 64 x 64 pixel model that the starter model was made from."""

PAPER_LEARNING_RATE, PAPER_STEPS = 1e-4, 100_000
POOLS = ("stills", "stills_validation", "clips", "clips_validation")
STARTER_RUN = Path("runs/starter")
CPU_WORKERS, GPU_WORKERS = 0, 4


DESCRIPTION = (
    "Trains one stage, from scratch or from a model, on procedural scenes, RealEstate10K or videos. "
    "Several GPUs: accelerate launch -m cvd train ... Several processor cores: torchrun --nproc-per-node N -m cvd "
    "train ... See docs/training.md."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds a subcommand for every stage."""
    stages = parser.add_subparsers(dest="stage", required=True, metavar="STAGE")
    _add_render(stages)
    for name, what in STAGES.items():
        _add_stage(stages, name, what)
        if name == "autoencoder":
            _add_encode(stages)
    _add_ship(stages)


def _add_stage(stages: Any, name: str, what: str) -> None:
    parser = stages.add_parser(
        name,
        help=what,
        description=f"Trains {what}. The same command continues an interrupted training from its newest checkpoint. "
        "The limits count the time and the steps of all runs of the command together.",
    )
    parser.add_argument(
        "--model", metavar="FOLDER", help='model to start from ("starter", or a folder that convert or train wrote)'
    )
    _add_folder(parser, "; with --model runs/MODEL-STAGE")
    parser.add_argument(
        "--data",
        action="append",
        metavar="DATA",
        help='data set: "procedural", a pool, a folder in RealEstate10K\'s layout, or a folder of videos; repeatable '
        "(default: the run's pool)",
    )
    parser.add_argument("--mix", type=float, nargs="+", metavar="WEIGHT", help="weight of each --data (default: equal)")
    parser.add_argument("--minutes", type=float, help="time limit (default from scratch: the starter model's)")
    parser.add_argument("--steps", type=int, help=f"limit of steps (default with --model: the paper's {PAPER_STEPS})")
    parser.add_argument("--batch-size", type=int, help="number of stills, videos or pairs in a batch of each process")
    parser.add_argument("--accumulate", type=int, default=1, metavar="N", help="batches in a step (default 1)")
    parser.add_argument(
        "--learning-rate",
        type=float,
        help=f"largest learning rate (default: the starter's; with --model the paper's {PAPER_LEARNING_RATE:g})",
    )
    parser.add_argument(
        "--mixed-precision",
        choices=("no", "fp16", "bf16"),
        help="precision (default: accelerate's configuration, else no)",
    )
    parser.add_argument("--resume", type=Path, metavar="FILE", help="checkpoint to continue from (default: the newest)")
    parser.add_argument(
        "--workers", type=int, help=f"processes that prepare batches (default {CPU_WORKERS}; with a GPU {GPU_WORKERS})"
    )
    parser.set_defaults(func=_train)


def _add_render(stages: Any) -> None:
    parser = stages.add_parser(
        "render",
        help="render a pool of procedural scenes",
        description="Renders procedural scenes once, for machines that are too slow to render while training.",
    )
    _add_folder(parser)
    parser.add_argument("--stills", type=int, default=40000, help="number of stills (default 40000)")
    parser.add_argument("--clips", type=int, default=3000, help="number of pairs of clips (default 3000)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default: one for each core)")
    parser.set_defaults(func=_render)


def _add_encode(stages: Any) -> None:
    parser = stages.add_parser(
        "encode",
        help="encode the run's pool with its trained autoencoder",
        description="Encodes the run's pool with its autoencoder. Later stages then read latents and do not encode.",
    )
    _add_folder(parser)
    parser.set_defaults(func=_encode)


def _add_ship(stages: Any) -> None:
    parser = stages.add_parser(
        "ship",
        help="write the run's model in half precision",
        description="Writes the run's model in half precision, as one folder for --model.",
    )
    _add_folder(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to write to (default: weights in the run's folder)"
    )
    parser.set_defaults(func=_ship)


def _add_folder(parser: argparse.ArgumentParser, otherwise: str = "") -> None:
    parser.add_argument(
        "--folder", type=Path, metavar="RUN", help=f"folder of the run (default {STARTER_RUN}{otherwise})"
    )


def _render(arguments: argparse.Namespace) -> None:
    pools = (arguments.folder or STARTER_RUN) / "pool"
    render_stills(pools / "stills_validation", 128, seed=3)
    render_clips(pools / "clips_validation", 8, seed=4)
    render_stills(pools / "stills", arguments.stills, seed=1, workers=arguments.workers)
    render_clips(pools / "clips", arguments.clips, seed=2, workers=arguments.workers)


def _encode(arguments: argparse.Namespace) -> None:
    run = arguments.folder or STARTER_RUN
    vae = load_run_part(run, "vae")
    for name in POOLS:
        encode_pool(vae, run / "pool" / name)


def _ship(arguments: argparse.Namespace) -> None:
    run = arguments.folder or STARTER_RUN
    destination = arguments.out or run / "weights"
    ship(run, destination)
    size = sum(path.stat().st_size for path in destination.rglob("*") if path.is_file())
    print(f"{size / 1e6:.1f} MB: {destination}")


def _train(arguments: argparse.Namespace) -> None:
    torch.manual_seed(0)  # new networks start with the same weights in every process
    run = arguments.folder or _default_run(arguments)
    settings = _settings(arguments)
    accelerator = start_accelerator(run / arguments.stage, arguments.mixed_precision, settings.accumulation)
    model = None if arguments.model is None else CollaborativeVideoPipeline.from_pretrained(arguments.model)
    stage = _make_stage(arguments.stage, run, model)
    size = (STARTER_INFO if model is None else model.info).sizes.native
    # The autoencoder's own stage changes what latents are.
    encoder = None if arguments.stage == "autoencoder" else encoder_fingerprint(stage.vae)
    factor = vae_scale_factor(stage.vae.config)
    data = arguments.data or [_pool(run)]
    mixtures = [
        Mixture([open_dataset(where, size, factor, encoder, split) for where in data], arguments.mix)
        for split in ("train", "validation")
    ]
    stage.watch(mixtures[1])
    trainer = Trainer(stage, mixtures[0], run / arguments.stage, settings, accelerator, log=_log)
    trainer.fit(arguments.resume)


def _pool(run: Path) -> Path:
    if not (run / "pool").is_dir():
        raise TrainingError(
            f"{run} has no pool to train on.", 'Give --data, "procedural" for instance, or run `cvd train render`.'
        )
    return run / "pool"


def _log(line: str) -> None:
    print(line, flush=True)


def _default_run(arguments: argparse.Namespace) -> Path:
    if arguments.model is None:
        return STARTER_RUN
    return Path("runs") / f"{Path(arguments.model).resolve().name}-{arguments.stage}"


def _settings(arguments: argparse.Namespace) -> Settings:
    minutes, steps, rate = arguments.minutes, arguments.steps, arguments.learning_rate
    if minutes is None and steps is None:
        minutes, steps = (STARTER_MINUTES[arguments.stage], None) if arguments.model is None else (None, PAPER_STEPS)
    if rate is None and arguments.model is not None:
        rate = PAPER_LEARNING_RATE
    workers = arguments.workers
    if workers is None:
        workers = GPU_WORKERS if torch.cuda.is_available() else CPU_WORKERS
    return Settings(minutes, steps, rate, arguments.batch_size, arguments.accumulate, workers)


def _make_stage(name: str, run: Path, model: CollaborativeVideoPipeline | None) -> Stage:
    """The stage on a model; without a model, on the networks that earlier stages wrote to the run's folder."""
    sizes = Sizes()
    if name == "autoencoder":
        return AutoencoderStage(build_autoencoder(sizes.autoencoder) if model is None else model.vae, run, model)
    if name == "decoder":
        return DecoderStage(load_run_part(run, "vae") if model is None else model.vae, run, model)
    if name == "image":
        if model is not None:
            return ImageStage.of_model(model, run)
        tokenizer = build_tokenizer(VOCABULARY)
        text_encoder = build_text_encoder(tokenizer, sizes.text)
        return ImageStage(build_image_unet(sizes), text_encoder, tokenizer, load_run_part(run, "vae"), run)
    if model is None:
        model = start_model(run, sizes) if name == "motion" else load_run_model(run)
    return VIDEO_STAGES[name](model, run)
