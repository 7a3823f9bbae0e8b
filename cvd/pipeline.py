"""From a prompt and cameras to one video per camera."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from inspect import signature
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler
from transformers import CLIPTextModel, CLIPTokenizer

from .cameras.cameras import Cameras
from .conditioning.epipolar import BIAS_BUDGET, EpipolarBias, EpipolarContext, Slope
from .conditioning.plucker import plucker_maps
from .errors import PromptWarning, RequestError
from .models.camera_encoder import CameraPoseEncoder
from .models.unet import CollaborativeUNet
from .request import check_request, with_defaults
from .sampling.denoise import Anchors, Predict, SolverName, denoise, make_solver, official_scheduler, unet_calls
from .sampling.draws import Draws
from .sampling.windows import blend_weights, window_starts
from .weights import official as checkpoints
from .weights.base_model import read_component
from .weights.devices import usable_device
from .weights.files import empty_model, load_part, read_config
from .weights.model_info import INFO_FILE, OFFICIAL_INFO, ModelInfo, find_info, model_folder, vae_scale_factor

DECODE_BATCH = 8
"""Frames decoded in one call: enough to fill a processor, few enough for 512 x 512 on a small GPU."""


@dataclass(frozen=True, eq=False)
class _Window:
    """Frames that go through the U-Net together: their cameras' features and biases, and their share in the result."""

    frames: slice
    share: torch.Tensor
    pose_features: list[torch.Tensor]
    bias: EpipolarBias


@dataclass(frozen=True)
class Progress:
    """How far a generation is: `step` of `of` U-Net calls (denoising) or frames (decoding) are done in `stage`."""

    stage: Literal["encoding", "denoising", "decoding"]
    step: int
    of: int


@dataclass(frozen=True, eq=False)
class Output:
    """videos: (V, F, H, W, 3) float32 sRGB in [0, 1]; latents: (V, C, F, h, w) float32.

    A latent covers `vae_scale_factor` pixels in either direction: h = H/8 and w = W/8 for SD 1.5, whose C is 4.
    """

    videos: np.ndarray
    latents: np.ndarray


class CollaborativeVideoPipeline:
    """Collaborative Video Diffusion: videos of one scene from several cameras (CVD, NeurIPS 2024).

    Make one with `from_pretrained` or `from_official`.
    """

    def __init__(
        self,
        unet: CollaborativeUNet,
        camera_encoder: CameraPoseEncoder,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        scheduler: DDIMScheduler,
        model_info: ModelInfo,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        # nn.Module's own `to`: diffusers' warns on every change of type, about modules that none of these have.
        self.unet, self.camera_encoder, self.vae, self.text_encoder = (
            torch.nn.Module.to(model, device=device, dtype=dtype).eval().requires_grad_(False)
            for model in (unet, camera_encoder, vae, text_encoder)
        )
        self.tokenizer, self.scheduler, self.model_info = tokenizer, scheduler, model_info
        self.dtype, self.device = dtype, torch.device(device)

    @classmethod
    def from_official(
        cls,
        folder: str | Path,
        unet_subfolder: str = checkpoints.ADAPTED_UNET,
        base_model: str | Path | None = None,
        lora: Sequence[tuple[str | Path, float]] | None = None,
        adapter: bool = True,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> CollaborativeVideoPipeline:
        """Loads the files of the official release as a user downloads them.

        Args:
            folder: holds StableDiffusion/{<unet_subfolder>,vae,text_encoder,tokenizer}, animatediff_mm.ckpt,
                CameraCtrl.ckpt and CVD.ckpt; and v3_sd15_adapter.ckpt, if the adapter is to be merged here.
            unet_subfolder, base_model, adapter, lora: the image model, see `cvd.weights.official.read_base_model`.

        Raises:
            CheckpointError: a file is missing, truncated, or holds other tensors than the network; it names both.
            RequestError: a device that is not there.
        """
        device, folder = usable_device(device), Path(folder)
        base = checkpoints.read_base_model(folder, unet_subfolder, base_model, adapter, lora or ())
        unet = checkpoints.load_collaborative_unet(folder, base.unet)
        return cls(
            unet=unet,
            camera_encoder=checkpoints.load_camera_encoder(folder, tuple(unet.config.block_out_channels)),
            vae=checkpoints.load_autoencoder(base.vae),
            text_encoder=checkpoints.load_text_encoder(base.text_encoder),
            tokenizer=checkpoints.load_tokenizer(base.tokenizer),
            scheduler=official_scheduler(),
            model_info=OFFICIAL_INFO,
            dtype=dtype,
            device=device,
        )

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
    ) -> CollaborativeVideoPipeline:
        """Loads a folder written by `save_pretrained`, or the model that comes with this package: "starter".

        Raises:
            CheckpointError, RequestError: as `from_official`.
        """
        device, folder = usable_device(device), model_folder(folder)
        info = find_info(folder)
        return cls(
            unet=_load_component(CollaborativeUNet, folder / "unet"),
            camera_encoder=_load_component(CameraPoseEncoder, folder / "camera_encoder"),
            vae=checkpoints.load_autoencoder(read_component(folder / "vae", "diffusion_pytorch_model")),
            text_encoder=checkpoints.load_text_encoder(read_component(folder / "text_encoder", "model")),
            tokenizer=checkpoints.load_tokenizer(folder / "tokenizer"),
            scheduler=DDIMScheduler.from_config(read_config(folder / "scheduler" / "scheduler_config.json")),
            model_info=info,
            dtype=dtype,
            device=device,
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes one folder of safetensors and configs that `from_pretrained` loads."""
        folder = Path(folder)
        for name in ("unet", "camera_encoder", "vae", "text_encoder", "tokenizer", "scheduler"):
            getattr(self, name).save_pretrained(folder / name)
            config = folder / name / "config.json"
            if config.is_file():
                # diffusers writes down where a network was loaded from, which is nobody else's business.
                entries = {key: value for key, value in read_config(config).items() if key != "_name_or_path"}
                config.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
        (folder / INFO_FILE).write_text(json.dumps(asdict(self.model_info), indent=2) + "\n", encoding="utf-8")

    @property
    def window(self) -> int:
        """How many frames the model makes at once; longer videos are made in overlapping windows of so many."""
        return min(self.camera_encoder.config.max_frames, self.unet.config.motion_max_seq_length)

    @property
    def vae_scale_factor(self) -> int:
        """How many pixels a latent covers in either direction; widths and heights are multiples of it."""
        return vae_scale_factor(self.vae.config)

    @torch.inference_mode()
    def __call__(
        self,
        prompt: str,
        cameras: Cameras,
        negative_prompt: str = "",
        num_inference_steps: int = 25,
        guidance_scale: float = 8.5,
        multistep: int | None = None,
        accumulate_step: int | None = None,
        seed: int = 0,
        on_step: Callable[[Progress], None] | None = None,
        on_latents: Callable[[torch.Tensor], None] | None = None,
        scheduler: SolverName = "ddim",
        anchors: Output | None = None,
        latents: np.ndarray | torch.Tensor | None = None,
        pairings: Iterable[Sequence[int]] | None = None,
        renoise: Callable[[int, tuple[int, ...]], np.ndarray] | None = None,
        pseudo_slope: Slope | None = None,
    ) -> Output:
        """Generates one video per view.

        Args:
            prompt, negative_prompt: what the scene shows, and what it must not; shared by all views.
            cameras: V views of F frames, 1 .. 128. More than the model makes at once are made in overlapping windows.
                Their width and height are multiples of `vae_scale_factor`.
            num_inference_steps: denoising steps, 1 .. 999; with "ddim" only those that start from noise.
            guidance_scale: of classifier-free guidance, finite.
            multistep, accumulate_step: recurrences per timestep, and matchings averaged in each; None: the official
                setting for V views (`cvd.sampling.pairing.default_schedule`).
            seed: 0 .. 2^63 - 1, fixes every random draw; the same seed gives the same videos on the same device.
            on_step: told after every U-Net call and every batch of decoded frames; what it raises ends the run.
            on_latents: sees the latents (V, C, F, h, w) after every timestep.
            scheduler: the solver; "ddim" is the official one.
            anchors: what an earlier run gave for the first A of these cameras. Those views come back unchanged, and the
                others are made consistent with them.
            latents: initial noise (V, C, F, h, w) in place of the seed's.
            pairings: permutations of range(V), one per prediction of the noise, in place of the seed's. A prediction is
                one U-Net call, or one for every window.
            renoise: gives the n-th noise of a shape, in place of the seed's.
            pseudo_slope: fraction of pi, or "horizontal", in place of one draw per U-Net call.

        Raises:
            RequestError: a setting outside its range, a size that the model cannot make, or anchors that do not go with
                the cameras or the model.
        """
        check_request(
            cameras, num_inference_steps, multistep, accumulate_step, anchors, scheduler, guidance_scale, seed
        )
        multistep, accumulate_step = with_defaults(multistep, accumulate_step, cameras.views)
        shape = (cameras.views, self.unet.config.in_channels, cameras.frames, *self._latent_size(cameras))
        solver = make_solver(scheduler, self.scheduler.config, num_inference_steps)
        report = on_step or (lambda progress: None)
        draws = Draws(seed, self.device, latents, pairings, renoise, pseudo_slope)
        noise = draws.initial(shape, self.window)
        held = None if anchors is None else self._held(anchors, shape[1:], draws)

        report(Progress("encoding", 0, 1))
        text = self._encode_text(prompt, negative_prompt).repeat_interleave(cameras.views, dim=0)

        def matching() -> tuple[list[int], Slope]:
            return draws.partners(cameras.views, 0 if held is None else len(held.latents)), draws.slope()

        predictions = unet_calls(num_inference_steps, multistep, accumulate_step)
        # The predictor, and all the biases with it, must be gone when frames are decoded: nothing here keeps it.
        final = denoise(
            noise,
            solver,
            self._predictor(text, self._windows(cameras), guidance_scale, matching, predictions, report),
            lambda n: draws.renoise(n, shape),
            multistep,
            accumulate_step,
            held,
            on_latents,
        )
        if anchors is None:
            return Output(self._decode(final, report), final.cpu().numpy())
        videos = self._decode(final[len(anchors.latents) :], report)
        return Output(np.concatenate([anchors.videos, videos]), final.cpu().numpy())

    def _predictor(
        self,
        text: torch.Tensor,
        windows: Sequence[_Window],
        guidance_scale: float,
        matching: Callable[[], tuple[list[int], Slope]],
        predictions: int,
        report: Callable[[Progress], None],
    ) -> Predict:
        """Predicts all views' guided noise or velocity, under a matching drawn for each call, blended over windows."""
        done, calls = 0, predictions * len(windows)
        report(Progress("encoding", 1, 1))

        def predict(latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
            nonlocal done
            partners, slope = matching()
            scale = self.model_info.guidance_at(int(timestep), guidance_scale)
            # A scale of 1 gives the conditional branch back, which then does without the other one.
            branches, free_branches = (1, 0) if scale == 1 else (2, self.model_info.free_branches)
            texts = text[-branches * len(latents) :]
            predicted = torch.zeros_like(latents)
            for window in windows:
                context = EpipolarContext(window.bias, partners, slope, free_branches)
                parts = latents[:, :, window.frames].to(self.dtype).repeat(branches, 1, 1, 1, 1)
                output = self.unet(parts, timestep, texts, window.pose_features, context).sample.float()
                unconditional, conditional = output[: len(latents)], output[-len(latents) :]
                guided = unconditional + scale * (conditional - unconditional)
                predicted[:, :, window.frames] += window.share * guided
                done += 1
                report(Progress("denoising", done, calls))
            return predicted

        return predict

    def _latent_size(self, cameras: Cameras) -> tuple[int, int]:
        """(h, w) of the latents of the cameras' images."""
        factor = self.vae_scale_factor
        if cameras.height % factor or cameras.width % factor:
            nearest = " x ".join(str(max(1, round(side / factor)) * factor) for side in (cameras.width, cameras.height))
            raise RequestError(
                f"This model makes no videos of {cameras.width} x {cameras.height} pixels: width and height must be "
                f"multiples of {factor}.",
                f"Use {nearest}, for instance.",
            )
        return cameras.height // factor, cameras.width // factor

    def _held(self, anchors: Output, shape: tuple[int, ...], draws: Draws) -> Anchors:
        """shape: (C, F, h, w) of a view's latents."""
        finished = torch.as_tensor(anchors.latents, dtype=torch.float32, device=self.device)
        if finished.shape[1:] != shape:
            theirs, ours = (
                f"{channels} channels of {width} x {height}"
                for channels, _, height, width in (finished.shape[1:], shape)
            )
            raise RequestError(
                f"The finished views' latents have {theirs}, this model's {ours}.",
                "Use the model that made the finished views.",
            )
        return Anchors(finished, draws.normal(finished.shape))

    def _windows(self, cameras: Cameras) -> list[_Window]:
        """What the U-Net needs to know of each window of frames."""
        length = min(cameras.frames, self.window)
        starts = window_starts(cameras.frames, length)
        weights = blend_weights(length)
        total = torch.zeros(cameras.frames)
        for start in starts:
            total[start : start + length] += weights
        windows = []
        for start in starts:
            frames, part = slice(start, start + length), cameras.window(start, length)
            share = (weights / total[frames]).view(1, 1, length, 1, 1).to(self.device)
            bias = EpipolarBias(
                part, self.dtype, self.device, BIAS_BUDGET // len(starts), self.unet.config.without_baseline
            )
            windows.append(_Window(frames, share, self._encode_cameras(part), bias))
        return windows

    def _encode_text(self, prompt: str, negative_prompt: str) -> torch.Tensor:
        """(2, 77, D): embeddings of the negative prompt, then of the prompt."""
        texts, length = [negative_prompt, prompt], self.tokenizer.model_max_length
        for tokens in self.tokenizer(texts).input_ids:
            if len(tokens) > length:
                unread = self.tokenizer.decode(tokens[length - 1 : -1])
                message = f'The prompt is too long for the model, which does not read "{unread}".'
                warnings.warn(message, PromptWarning, stacklevel=2)
        tokens = self.tokenizer(
            texts,
            padding="max_length",
            max_length=length,
            truncation=True,
            return_tensors="pt",
        )
        return self.text_encoder(tokens.input_ids.to(self.device))[0]

    def _encode_cameras(self, cameras: Cameras) -> list[torch.Tensor]:
        """Camera features per U-Net level, (V, C_i, F, h_i, w_i)."""
        return self.camera_encoder(plucker_maps(cameras, self.device).transpose(1, 2).to(self.dtype))

    def _decode(self, latents: torch.Tensor, report: Callable[[Progress], None]) -> np.ndarray:
        """(V, C, F, h, w) to (V, F, H, W, 3) in [0, 1]."""
        views, _, frames = latents.shape[:3]
        flat = latents.transpose(1, 2).flatten(0, 1) / self.vae.config.scaling_factor
        images = []
        for batch in flat.to(self.dtype).split(DECODE_BATCH):
            decoded = self.vae.decode(batch, return_dict=False)[0].float()
            images.append((decoded / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu())
            report(Progress("decoding", sum(map(len, images)), views * frames))
        return torch.cat(images).unflatten(0, (views, frames)).numpy()


def _load_component(model_class: type[Any], folder: Path) -> Any:
    """One of our own networks from its config and weights."""
    component = read_component(folder, "diffusion_pytorch_model")
    # diffusers writes the arguments of `UNetMotionModel`, too, which follow from ours.
    arguments = signature(model_class).parameters.keys() & component.config.keys()
    model = empty_model(model_class, {name: component.config[name] for name in arguments})
    load_part(model, component.tensors, lambda name: name, set(model.state_dict()), component.file)
    return model
