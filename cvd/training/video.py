"""The video stages. They train the motion modules, the camera encoder, the epipolar modules, and then all together.

Each stage trains its own part of one model on clips. All other parameters stay frozen.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from protocol.geometry import frame_indices

from ..cameras.cameras import Cameras
from ..conditioning.epipolar import EpipolarBias, EpipolarContext, PairBias
from ..conditioning.plucker import plucker_maps
from ..pipeline import CollaborativeVideoPipeline
from .batches import Batch
from .datasets import Request
from .diffusion import diffusion_loss, embed, sample
from .homography_bias import HomographyBias
from .latents import decode, to_images
from .model import save_model
from .stage import Stage

SHOWN_FRAMES = 6


class VideoStage(Stage):
    """Base class of the video stages. Each stage defines its parameters and the conditioning of the U-Net.

    Args:
        model: model with the weights of the earlier stages. Before the camera stage its camera encoder may be
            untrained.
        output: run folder that the model is written to.
    """

    views: ClassVar[int] = 1

    def __init__(self, model: CollaborativeVideoPipeline, output: Path) -> None:
        super().__init__()
        self.model, self.output = model, output
        self.unet, self.camera_encoder = model.unet, model.camera_encoder
        self.text_encoder, self.vae = model.text_encoder, model.vae
        self._train_only(self._own_parameters())

    @abstractmethod
    def _own_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters that this stage trains, by name."""

    @abstractmethod
    def _conditioning(self, batch: Batch, free_branches: int = 0) -> dict[str, object]:
        """The U-Net's keyword arguments except the text; `free_branches` as in `EpipolarContext`."""

    @property
    def request(self) -> Request:
        return Request(self.views, self.model.window)

    def forward(self, batch: Batch) -> torch.Tensor:
        text = embed(self.model.tokenizer, self.text_encoder, batch.captions)
        conditioning = self._conditioning(batch)
        return diffusion_loss(
            self.model.scheduler,
            self._latents(batch),
            lambda noisy, timesteps: self.unet(noisy, timesteps, text, **conditioning).sample,
            batch.seed,
            views=self.views,
            weight=self._weight(batch),
        )

    @torch.no_grad()
    def validate(self) -> tuple[dict[str, float], np.ndarray]:
        """No measures; for each scene and view a row of true and a row of generated frames, with the same cameras."""
        true = self._latents(self.validation)
        text = embed(self.model.tokenizer, self.text_encoder, self.validation.captions)
        empty = embed(self.model.tokenizer, self.text_encoder, [""])
        conditioning = self._conditioning(self.validation, int(self.model.info.guidance.frees_unconditional))
        generated = sample(
            self.model.scheduler,
            tuple(true.shape),
            text,
            empty,
            lambda *inputs: self.unet(*inputs, **conditioning).sample,
            self.model.info,
        )
        shown = frame_indices(true.shape[2], SHOWN_FRAMES)
        rows = torch.stack([true, generated], 1).unflatten(0, (self.views, -1)).transpose(0, 1).flatten(0, 2)
        rows = rows[:, :, shown]
        images = to_images(decode(self.vae, rows.transpose(1, 2).flatten(0, 1)))
        return {}, images.reshape(len(rows), SHOWN_FRAMES, *images.shape[1:])

    def save(self) -> None:
        save_model(self.model, self.output)

    def _pose_features(self, batch: Batch) -> Sequence[torch.Tensor] | None:
        if batch.cameras is None:
            return None
        return self.camera_encoder(plucker_maps(batch.cameras, self.device).transpose(1, 2))


class MotionStage(VideoStage):
    """AnimateDiff: trains the motion modules. The U-Net gets no cameras."""

    name = "motion"

    def _own_parameters(self) -> dict[str, nn.Parameter]:
        return _named(self.unet, self.unet.motion_parameters())

    def _conditioning(self, batch: Batch, free_branches: int = 0) -> dict[str, object]:
        return {}


class CameraStage(VideoStage):
    """CameraCtrl: trains the camera encoder and the linear layers that merge its features into the motion modules."""

    name = "camera"
    learning_rate = 2e-3
    needs_cameras = True

    def _own_parameters(self) -> dict[str, nn.Parameter]:
        encoder = {f"camera_encoder.{name}": p for name, p in self.camera_encoder.named_parameters()}
        return encoder | _named(self.unet, self.unet.pose_parameters())

    def _conditioning(self, batch: Batch, free_branches: int = 0) -> dict[str, object]:
        return {"pose_features": self._pose_features(batch)}


class EpipolarStage(VideoStage):
    """CVD: trains the epipolar modules, on pairs of clips that share their first frame."""

    name = "epipolar"
    views = 2
    batch_size = 2
    learning_rate = 7e-4

    def _own_parameters(self) -> dict[str, nn.Parameter]:
        return _named(self.unet, self.unet.epipolar_parameters())

    def _conditioning(self, batch: Batch, free_branches: int = 0) -> dict[str, object]:
        scenes = len(batch.captions) // self.views
        without_baseline = self.unet.config.without_baseline
        if batch.cameras is not None:
            cameras = _as_one_scene(batch.cameras, self.views)
            bias: PairBias = EpipolarBias(cameras, torch.float32, self.device, without_baseline=without_baseline)
        else:
            assert batch.homographies is not None  # a pair has cameras or homographies
            assert batch.frames is not None  # data sets with homographies give frames
            height, width = batch.frames.shape[2:4]
            bias = HomographyBias(batch.homographies, height, width, self.device, without_baseline)
        context = EpipolarContext(bias, (1, 0), batch.slope, free_branches, scenes)
        return {"pose_features": self._pose_features(batch), "epipolar": context}


class JointStage(EpipolarStage):
    """Trains the whole U-Net, the camera encoder and the text encoder together, on pairs.

    The paper has no such stage, because its image model is Stable Diffusion. The image part of a small model has been
    trained for a short time only, and learns more here.
    """

    name = "joint"
    learning_rate = 4e-4
    needs_cameras = True

    def _own_parameters(self) -> dict[str, nn.Parameter]:
        networks = {"camera_encoder": self.camera_encoder, "text_encoder": self.text_encoder, "unet": self.unet}
        return {f"{name}.{key}": p for name, network in networks.items() for key, p in network.named_parameters()}


VIDEO_STAGES: dict[str, type[VideoStage]] = {
    stage.name: stage for stage in (MotionStage, CameraStage, EpipolarStage, JointStage)
}


def _as_one_scene(cameras: Cameras, views: int) -> Cameras:
    """V views of S scenes of F frames each, as V views of S * F frames: one long video per view, for the bias."""
    c2w, K = (array.reshape(views, -1, *array.shape[2:]) for array in (cameras.c2w, cameras.K))
    return Cameras(c2w, K, cameras.height, cameras.width)


def _named(network: nn.Module, wanted: Sequence[nn.Parameter]) -> dict[str, nn.Parameter]:
    identities = {id(parameter) for parameter in wanted}
    return {f"unet.{name}": p for name, p in network.named_parameters() if id(p) in identities}
