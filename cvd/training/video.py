"""The video stages: motion modules, camera encoder and epipolar modules, one by one and then together.

All train parts of one ``CollaborativeUNet`` on clips; what is not the stage's own stays frozen.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from cvd.cameras import Cameras
from cvd.epipolar import EpipolarBias, EpipolarContext
from cvd.models.camera_encoder import CameraPoseEncoder
from cvd.models.unet import CollaborativeUNet
from cvd.plucker import plucker_maps
from cvd.starter.world import intrinsics
from cvd.training.autoencoder import to_images
from cvd.training.contact_sheet import write_contact_sheet
from cvd.training.diffusion import Diffusion, embed, sample
from cvd.training.latents import LatentPool, decode

SHOWN_FRAMES = 6


class VideoStage:
    """What the video stages share; each says which parameters train and what a batch looks like.

    Args:
        unet: with the earlier stages' weights.
        camera_encoder: untrained before the camera stage.
        clips, validation: pairs of clips (N, 2, F, ...).
        output: the run folder's ``unet`` and ``camera_encoder`` are written there.
        batch_size: scenes in a batch.
    """

    name: str
    views = 1
    timestep_draws = 1
    learning_rate = 1e-3

    def __init__(
        self,
        unet: CollaborativeUNet,
        camera_encoder: CameraPoseEncoder,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        vae: AutoencoderKL,
        clips: LatentPool,
        validation: LatentPool,
        output: Path,
        batch_size: int = 4,
        seed: int = 0,
    ) -> None:
        self.unet, self.camera_encoder, self.text_encoder = unet, camera_encoder, text_encoder
        self.tokenizer, self.vae, self.clips, self.validation = tokenizer, vae, clips, validation
        self.output, self.batch_size = output, batch_size
        self.diffusion = Diffusion(seed, self.timestep_draws)
        for network in (unet, camera_encoder, text_encoder):
            network.requires_grad_(False)
        self.parameters = self.own_parameters()

    def own_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters that this stage trains, by name."""
        raise NotImplementedError

    def conditioning(self, cameras: Cameras) -> dict[str, object]:
        """The U-Net's keyword arguments for N views; ``cameras`` has V = N."""
        raise NotImplementedError

    def loss(self) -> torch.Tensor:
        index = self.diffusion.rng.integers(len(self.clips), size=self.batch_size)
        latents, c2w = self._views(self.clips, index)
        captions = self.diffusion.drop_captions([self.clips.captions[i] for i in index])
        with torch.no_grad():
            text = embed(self.tokenizer, self.text_encoder, captions).repeat_interleave(self.views, 0)
        conditioning = self.conditioning(self._cameras(c2w))
        return self.diffusion.loss(
            latents,
            lambda noisy, timesteps: self.unet(noisy, timesteps, text, **conditioning).sample,
            together=self.views,
        )

    @torch.no_grad()
    def validate(self, picture: Path) -> str:
        """Per scene and view a row of the true frames and a row of the generated ones, the same cameras in both."""
        count = 4
        latents, c2w = self._views(self.validation, np.arange(count))
        text = embed(self.tokenizer, self.text_encoder, self.validation.captions[:count])
        text = text.repeat_interleave(self.views, 0)
        empty = embed(self.tokenizer, self.text_encoder, [""])
        conditioning = self.conditioning(self._cameras(c2w))
        generated = sample(tuple(latents.shape), text, empty, lambda *inputs: self.unet(*inputs, **conditioning).sample)
        shown = np.linspace(0, latents.shape[2] - 1, SHOWN_FRAMES).round().astype(int)
        rows = torch.stack([latents, generated], 1).flatten(0, 1)[:, :, shown]
        images = to_images(decode(self.vae, rows.transpose(1, 2).flatten(0, 1)))
        write_contact_sheet(picture, images.reshape(len(rows), SHOWN_FRAMES, *images.shape[1:]))
        return picture.name

    def save(self) -> None:
        self.unet.save_pretrained(self.output / "unet")
        self.camera_encoder.save_pretrained(self.output / "camera_encoder")

    def _views(self, pool: LatentPool, scenes: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
        """Latents (N, 4, F, h, w) and cameras (N, F, 4, 4) of N = scenes x views clips, a scene's views together."""
        sides = np.tile(np.arange(2), (len(scenes), 1))[:, : self.views]
        if self.views == 1:
            sides = self.diffusion.rng.integers(2, size=(len(scenes), 1))
        latents = torch.from_numpy(pool.latents[scenes[:, None], sides]).float()
        return latents.flatten(0, 1).transpose(1, 2), pool.c2w[scenes[:, None], sides].reshape(-1, *pool.c2w.shape[2:])

    def _cameras(self, c2w: np.ndarray) -> Cameras:
        side = self.clips.latents.shape[-1] * 8
        return Cameras(c2w, intrinsics(side, side)[None, None], side, side)

    def _pose_features(self, cameras: Cameras) -> Sequence[torch.Tensor]:
        return self.camera_encoder(torch.from_numpy(plucker_maps(cameras)).transpose(1, 2))


class MotionStage(VideoStage):
    """Stage 3 (AnimateDiff): the motion modules learn how cameras move, without knowing which camera it is."""

    name = "motion"

    def own_parameters(self) -> dict[str, nn.Parameter]:
        return _named(self.unet, self.unet.motion_parameters())

    def conditioning(self, cameras: Cameras) -> dict[str, object]:
        return {}


class CameraStage(VideoStage):
    """Stage 4 (CameraCtrl): the camera encoder and the linears that merge its features into the motion modules."""

    name = "camera"
    timestep_draws = 2
    learning_rate = 2e-3

    def own_parameters(self) -> dict[str, nn.Parameter]:
        encoder = {f"camera_encoder.{name}": p for name, p in self.camera_encoder.named_parameters()}
        return encoder | _named(self.unet, self.unet.pose_parameters())

    def conditioning(self, cameras: Cameras) -> dict[str, object]:
        return {"pose_features": self._pose_features(cameras)}


class EpipolarStage(VideoStage):
    """Stage 5 (CVD): the epipolar modules learn to agree, on pairs of clips that share their first frame."""

    name = "epipolar"
    views = 2
    timestep_draws = 2

    def own_parameters(self) -> dict[str, nn.Parameter]:
        return _named(self.unet, self.unet.epipolar_parameters())

    def conditioning(self, cameras: Cameras) -> dict[str, object]:
        pose_features = self._pose_features(cameras)
        partners = [view ^ 1 for view in range(cameras.views)]
        bias = EpipolarBias(cameras, torch.float32, "cpu")
        slope = float(self.diffusion.rng.random())
        return {"pose_features": pose_features, "epipolar": EpipolarContext(bias, partners, slope)}


class JointStage(EpipolarStage):
    """A last round for the whole U-Net and the camera encoder, on pairs.

    The paper has no such stage: its image model is Stable Diffusion's. A small model that is trained for minutes goes
    on learning what frames look like while it learns that they agree.
    """

    name = "joint"
    learning_rate = 7e-4

    def own_parameters(self) -> dict[str, nn.Parameter]:
        encoder = {f"camera_encoder.{name}": p for name, p in self.camera_encoder.named_parameters()}
        return encoder | dict(self.unet.named_parameters())


VIDEO_STAGES: dict[str, Callable[..., VideoStage]] = {
    stage.name: stage for stage in (MotionStage, CameraStage, EpipolarStage, JointStage)
}


def _named(network: nn.Module, wanted: Sequence[nn.Parameter]) -> dict[str, nn.Parameter]:
    identities = {id(parameter) for parameter in wanted}
    return {f"unet.{name}": p for name, p in network.named_parameters() if id(p) in identities}
