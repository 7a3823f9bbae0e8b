"""``python -m cvd train``: render the procedural pool, encode it, and train the stages of the starter model."""

import argparse
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from cvd.models.camera_encoder import CameraPoseEncoder
from cvd.models.unet import CollaborativeUNet
from cvd.starter.captions import VOCABULARY
from cvd.training import parallel
from cvd.training.autoencoder import AutoencoderStage, DecoderStage, build_autoencoder
from cvd.training.errors import TrainingError
from cvd.training.image import ImageStage
from cvd.training.latents import LatentPool, encode_pool
from cvd.training.loop import Limits, Stage, fit
from cvd.training.model import (
    Sizes,
    build_camera_encoder,
    build_collaborative_unet,
    build_image_unet,
    save_tokenizer,
    ship,
)
from cvd.training.pool import Pool, render_clips, render_stills
from cvd.training.text import build_text_encoder, build_tokenizer
from cvd.training.video import VIDEO_STAGES, VideoStage

STAGES = ("render", "autoencoder", "encode", "decoder", "image", "motion", "camera", "epipolar", "joint", "ship")
DEFAULT_MINUTES = {
    "autoencoder": 24.0,
    "decoder": 15.0,
    "image": 35.0,
    "motion": 12.0,
    "camera": 15.0,
    "epipolar": 15.0,
}
POOLS = ("stills", "stills_validation", "clips", "clips_validation")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the ``train`` subcommand; its ``func`` takes the parsed arguments and returns the exit code."""
    parser = subparsers.add_parser(
        "train",
        help="train a stage of the starter model",
        description="Train the starter model, one stage at a time, in the order listed. A stage that was interrupted "
        "goes on where it stopped; --minutes counts all sittings together. Several processes share the work of a stage "
        "with `torchrun --nproc-per-node N -m cvd train STAGE`.",
    )
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--folder", type=Path, default=Path("runs/starter"), help="folder of the data and checkpoints")
    parser.add_argument(
        "--minutes", type=float, help="training time of the stage (default: what the starter model took)"
    )
    parser.add_argument("--batch-size", type=int, help="images, videos or pairs in a batch")
    parser.add_argument("--stills", type=int, default=40000, help="stills to render")
    parser.add_argument("--clips", type=int, default=2500, help="pairs of clips to render")
    parser.add_argument("--out", type=Path, help="where `ship` writes the model")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="processor threads")
    parser.set_defaults(func=train)


def train(args: argparse.Namespace) -> int:
    """Run one stage; the exit code is 0."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(STAGES.index(args.stage))
    parallel.start()
    pools = args.folder / "pool"
    if args.stage == "render":
        render_stills(pools / "stills_validation", 128, seed=3)
        render_clips(pools / "clips_validation", 8, seed=4)
        render_stills(pools / "stills", args.stills, seed=1)
        render_clips(pools / "clips", args.clips, seed=2)
    elif args.stage == "encode":
        vae = _frozen(AutoencoderKL, args.folder / "vae")
        for name in POOLS:
            encode_pool(vae, pools / name)
    elif args.stage == "ship":
        ship(args.folder, args.out or args.folder / "weights")
    else:
        minutes = DEFAULT_MINUTES[args.stage] if args.minutes is None else args.minutes
        fit(_stage(args), args.folder / args.stage, Limits(minutes), log=lambda line: print(line, flush=True))
    return 0


def _stage(args: argparse.Namespace) -> Stage:
    batch = {"seed": parallel.rank()} | ({} if args.batch_size is None else {"batch_size": args.batch_size})
    pools, sizes = args.folder / "pool", Sizes()
    stills = Pool.open(pools / "stills"), Pool.open(pools / "stills_validation")
    if args.stage == "autoencoder":
        return AutoencoderStage(build_autoencoder(sizes.autoencoder), *stills, args.folder / "vae", **batch)
    vae = _frozen(AutoencoderKL, args.folder / "vae")
    if args.stage == "decoder":
        latents = LatentPool.open(pools / "stills").latents
        return DecoderStage(vae, *stills, args.folder / "vae", latents=latents, **batch)
    if args.stage == "image":
        tokenizer = build_tokenizer(VOCABULARY)
        save_tokenizer(tokenizer, args.folder / "tokenizer")
        unet, text_encoder = build_image_unet(sizes), build_text_encoder(tokenizer, sizes.text)
        return ImageStage(unet, text_encoder, tokenizer, vae, LatentPool.open(pools / "stills"), args.folder, **batch)
    return _video_stage(args, vae, sizes, batch)


def _video_stage(args: argparse.Namespace, vae: AutoencoderKL, sizes: Sizes, batch: dict[str, int]) -> VideoStage:
    """A video stage on top of what the stage before it saved."""
    if args.stage == "motion":
        unet = build_collaborative_unet(_frozen(UNet2DConditionModel, args.folder / "image_unet"), sizes.frames)
        camera_encoder = build_camera_encoder(sizes)
    else:
        unet = _frozen(CollaborativeUNet, args.folder / "unet")
        camera_encoder = _frozen(CameraPoseEncoder, args.folder / "camera_encoder")
    return VIDEO_STAGES[args.stage](
        unet,
        camera_encoder,
        _frozen(CLIPTextModel, args.folder / "text_encoder"),
        CLIPTokenizer.from_pretrained(args.folder / "tokenizer"),
        vae,
        LatentPool.open(args.folder / "pool" / "clips"),
        LatentPool.open(args.folder / "pool" / "clips_validation"),
        args.folder,
        **batch,
    )


def _frozen(network_class: type[Any], folder: Path) -> Any:
    """A network as an earlier stage left it, which this one does not train."""
    if not (folder / "config.json").exists():
        raise TrainingError(f"{folder} is not there yet.", f"Train the stages in order: {', '.join(STAGES)}.")
    return network_class.from_pretrained(folder).eval().requires_grad_(False)
