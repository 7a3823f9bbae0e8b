"""Collaborative Video Diffusion: from a prompt and cameras to one video per camera."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler
from transformers import CLIPTextModel, CLIPTokenizer

from protocol.models import ModelInfo
from protocol.settings import SamplingSettings, SolverName

from .cameras import Cameras
from .conditioning.epipolar import Slope
from .errors import RequestError
from .family import Estimate
from .memory import MemoryPlan
from .models.camera_encoder import CameraPoseEncoder
from .models.unet import CollaborativeUNet
from .request import Hooks, Output, Pins, Progress, Request, Step
from .sampling.conditioning import Conditioning, window_conditionings
from .sampling.denoise import Anchors, denoise, initial_state, make_solver, official_scheduler, unet_calls
from .sampling.draws import Draws
from .sampling.predictor import Predictor
from .sampling.state import SamplerState
from .sampling.windows import window_starts
from .weights import official
from .weights.base_model import read_component
from .weights.configs import read_config
from .weights.devices import DTYPES, precision_of, usable_device
from .weights.files import empty_model, load_part
from .weights.model_info import OFFICIAL_INFO, model_folder, read_info, vae_scale_factor, write_info
from .weights.preview import OFFICIAL_PREVIEW, LatentPreview, read_preview


class CollaborativeVideoPipeline:
    """Collaborative Video Diffusion: videos of one scene from several cameras (CVD, NeurIPS 2024).

    It is a `cvd.family.VideoModel`. Make one with `from_pretrained` or `from_official`.

    Attributes:
        info: description of the model.
        plan: use of memory in its runs.
    """

    def __init__(
        self,
        unet: CollaborativeUNet,
        camera_encoder: CameraPoseEncoder,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        scheduler: DDIMScheduler,
        info: ModelInfo,
        device: torch.device | str = "cpu",
        plan: MemoryPlan = MemoryPlan(),  # noqa: B008  it is frozen
        preview_map: LatentPreview | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.tokenizer, self.scheduler, self.info, self.plan = tokenizer, scheduler, info, plan
        self.preview_map = preview_map
        home = self.device if plan.offload == "none" else torch.device("cpu")
        # `to` of nn.Module: at every change of type, that of diffusers warns about modules that these do not have.
        self.unet, self.camera_encoder, self.vae, self.text_encoder = (
            torch.nn.Module.to(model, device=home, dtype=self.dtype).eval().requires_grad_(False)
            for model in (unet, camera_encoder, vae, text_encoder)
        )

    @classmethod
    def from_official(
        cls,
        folder: str | Path,
        unet_subfolder: str = official.ADAPTED_UNET,
        base_model: str | Path | None = None,
        lora: Sequence[tuple[str | Path, float]] | None = None,
        adapter: bool = True,
        dtype: torch.dtype | None = None,
        device: torch.device | str = "cpu",
        plan: MemoryPlan | None = None,
    ) -> CollaborativeVideoPipeline:
        """Loads the files of the official release as a user downloads them.

        Args:
            folder: folder with StableDiffusion/{<unet_subfolder>,vae,text_encoder,tokenizer}, animatediff_mm.ckpt,
                CameraCtrl.ckpt and CVD.ckpt; and v3_sd15_adapter.ckpt, if the adapter is merged here.
            unet_subfolder, base_model, adapter, lora: image model, see `cvd.weights.official.read_base_model`.
            dtype: dtype of the weights; it replaces the plan's precision.
            plan: use of memory; None: the fastest, in float32.

        Raises:
            CheckpointError: a file is missing, truncated, or has other tensors than the network. The error names both.
            RequestError: the device does not exist.
        """
        device, folder = usable_device(device), Path(folder)
        base = official.read_base_model(folder, unet_subfolder, base_model, adapter, lora or ())
        unet = official.load_collaborative_unet(folder, base.unet)
        return cls(
            unet=unet,
            camera_encoder=official.load_camera_encoder(folder, tuple(unet.config.block_out_channels)),
            vae=official.load_autoencoder(base.vae),
            text_encoder=official.load_text_encoder(base.text_encoder),
            tokenizer=official.load_tokenizer(base.tokenizer),
            scheduler=official_scheduler(),
            info=OFFICIAL_INFO,
            device=device,
            plan=_plan(plan, dtype),
            preview_map=OFFICIAL_PREVIEW,
        )

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        dtype: torch.dtype | None = None,
        device: torch.device | str = "cpu",
        plan: MemoryPlan | None = None,
    ) -> CollaborativeVideoPipeline:
        """Loads a folder that `save_pretrained` wrote, or "starter", the model of this package.

        Args:
            dtype, plan: as in `from_official`.

        Raises:
            CheckpointError, RequestError: as in `from_official`.
        """
        device, folder = usable_device(device), model_folder(folder)
        info, unet = read_info(folder), _load_component(CollaborativeUNet, folder / "unet")
        return cls(
            unet=unet,
            camera_encoder=_load_component(CameraPoseEncoder, folder / "camera_encoder"),
            vae=official.load_autoencoder(read_component(folder / "vae", "diffusion_pytorch_model")),
            text_encoder=official.load_text_encoder(read_component(folder / "text_encoder", "model")),
            tokenizer=official.load_tokenizer(folder / "tokenizer"),
            scheduler=DDIMScheduler.from_config(read_config(folder / "scheduler" / "scheduler_config.json")),
            info=info,
            device=device,
            plan=_plan(plan, dtype),
            preview_map=read_preview(folder, unet.config.in_channels),
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes one folder of safetensors and configs that `from_pretrained` loads."""
        folder = Path(folder)
        for name in ("unet", "camera_encoder", "vae", "text_encoder", "tokenizer", "scheduler"):
            getattr(self, name).save_pretrained(folder / name)
            config = folder / name / "config.json"
            if config.is_file():
                # diffusers writes where a network was loaded from, which is private.
                entries = {key: value for key, value in read_config(config).items() if key != "_name_or_path"}
                config.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
        if self.preview_map is not None:
            self.preview_map.save(folder)
        write_info(folder, self.info)

    @property
    def dtype(self) -> torch.dtype:
        """dtype of weights and activations."""
        return DTYPES[self.plan.precision]

    @property
    def window(self) -> int:
        """Largest number of frames in a U-Net call. Longer videos are made in windows of this length."""
        return min(self.camera_encoder.config.max_frames, self.unet.config.motion_max_seq_length)

    @property
    def vae_scale_factor(self) -> int:
        """Pixels that a latent covers in each direction. Widths and heights are multiples of it."""
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
        """Generates one video per view: `generate` with the parts of its request as arguments.

        Args:
            prompt, negative_prompt, cameras, anchors: see `Request`.
            num_inference_steps, guidance_scale, multistep, accumulate_step, seed, scheduler: see `SamplingSettings`.
            on_step: called after every U-Net call and every batch of decoded frames. Its errors end the run.
            on_latents: called with the latents (V, C, F, h, w) after every timestep.
            latents, pairings, renoise, pseudo_slope: see `Pins`.

        Raises:
            RequestError: as in `generate`.
        """
        settings = SamplingSettings(
            seed=seed,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            scheduler=scheduler,
            multistep=multistep,
            accumulate_step=accumulate_step,
        )

        def after_step(step: Step) -> None:
            if on_latents is not None and step.state.recurrence == 0:
                on_latents(step.latents)

        hooks = Hooks(on_step=after_step) if on_step is None else Hooks(on_step, after_step)
        pins = Pins(latents, pairings, renoise, pseudo_slope)
        return self.generate(Request(prompt, cameras, negative_prompt, settings, anchors, pins), hooks)

    def estimate(self, request: Request) -> Estimate:
        """The amount of work of a request. Raises RequestError as `generate` does."""
        request.check(self.info)
        self._latent_size(request.cameras)
        cameras = request.cameras
        windows = len(window_starts(cameras.frames, min(cameras.frames, self.window)))
        finished = 0 if request.anchors is None else len(request.anchors.videos)
        return Estimate(
            calls=_Schedule.of(request.resolved(self.info)).predictions() * windows,
            frames=(cameras.views - finished) * cameras.frames,
        )

    def preview(self, latents: torch.Tensor) -> np.ndarray | None:
        """Small pictures (V, h, w, 3) uint8 of latents (V, C, F, h, w); None for a model without a map for them."""
        return None if self.preview_map is None else self.preview_map.pictures(latents)

    @torch.inference_mode()
    def generate(
        self,
        request: Request,
        hooks: Hooks = Hooks(),  # noqa: B008  it is frozen
        resume: SamplerState | None = None,
        plan: MemoryPlan | None = None,
    ) -> Output:
        """Generates one video per view.

        Args:
            hooks: functions that the run calls. Their errors end it.
            resume: state to continue from. `Hooks.on_step` got it in an earlier run of the same request.
            plan: plan that replaces the pipeline's, of the same precision and offload.

        Raises:
            RequestError: a setting out of its range, a size that the model cannot make, or anchors that do not fit the
                cameras or the model.
        """
        plan = self._checked_plan(plan)
        work = self.estimate(request)
        settings, cameras, anchors = request.resolved(self.info), request.cameras, request.anchors
        schedule = _Schedule.of(settings)
        shape = (cameras.views, self.unet.config.in_channels, cameras.frames, *self._latent_size(cameras))
        solver = make_solver(settings.scheduler or "ddim", self.scheduler.config, schedule.steps)
        draws = Draws(settings.seed, self.device, request.pins)
        # A resumed run draws this, too: the anchors' noise follows it in the stream.
        state = initial_state(draws.initial(shape, self.window), solver)
        held = None if anchors is None else self._held(anchors, shape[1:], draws)
        if resume is not None:
            state = self._resumed(resume, shape, draws)
        done = schedule.predictions_before(state) * (work.calls // schedule.predictions())

        def on_window() -> None:
            nonlocal done
            done += 1
            hooks.on_progress(Progress("denoising", done, work.calls))

        def pairing() -> tuple[list[int], Slope]:
            return draws.partners(cameras.views, 0 if held is None else len(held.latents)), draws.slope()

        hooks.on_progress(Progress("encoding", 0, 1))
        with self._in_place(self.text_encoder):
            text = self._encode_text(request.prompt, request.negative_prompt, hooks.on_warning)
        conditionings = self._conditionings(cameras, plan)
        hooks.on_progress(Progress("encoding", 1, 1))
        with self._in_place(self.unet):
            # The predictor and its biases must be freed before the decoding, so no variable keeps it.
            final = denoise(
                state,
                solver,
                Predictor(
                    self.unet,
                    text,
                    conditionings,
                    self.info.guidance,
                    settings.guidance_scale or 0.0,
                    pairing,
                    plan.pairs_per_call,
                    on_window,
                ),
                lambda n: draws.renoise(n, shape),
                schedule.multistep,
                schedule.accumulate,
                held,
                hooks.on_step,
                draws.state,
            )
        del conditionings
        if anchors is None:
            return Output(self._decode(final, plan, hooks), final.cpu().numpy())
        videos = self._decode(final[len(anchors.latents) :], plan, hooks)
        return Output(np.concatenate([anchors.videos, videos]), final.cpu().numpy())

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
        """The anchors of a run. shape: (C, F, h, w) of a view's latents."""
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

    def _conditionings(self, cameras: Cameras, plan: MemoryPlan) -> list[Conditioning]:
        with self._in_place(self.camera_encoder):
            return window_conditionings(
                cameras, self.camera_encoder, self.window, self.unet.config.without_baseline, plan
            )

    def _checked_plan(self, plan: MemoryPlan | None) -> MemoryPlan:
        """The plan of a run. Raises RequestError if the model must be loaded again for it."""
        if plan is None:
            return self.plan
        if (plan.precision, plan.offload) != (self.plan.precision, self.plan.offload):
            raise RequestError("The precision and the offload of a loaded model do not change.", "Load it anew.")
        return plan

    def _resumed(self, state: SamplerState, shape: tuple[int, ...], draws: Draws) -> SamplerState:
        """The state on this device. The random streams continue from it, too."""
        if state.latents.shape != shape:
            raise RequestError(
                f"The saved latents have shape {tuple(state.latents.shape)}, not {shape}.", "Start the run again."
            )
        if state.draws is not None:
            draws.restore(state.draws)
        return state.to(self.device)

    @contextlib.contextmanager
    def _in_place(self, model: torch.nn.Module) -> Iterator[None]:
        """Keeps a network on the device while it is used, even if the plan offloads it."""
        if self.plan.offload == "none":
            yield
            return
        torch.nn.Module.to(model, device=self.device)
        try:
            yield
        finally:
            torch.nn.Module.to(model, device="cpu")

    def _encode_text(self, prompt: str, negative_prompt: str, on_warning: Callable[[str], None]) -> torch.Tensor:
        """(2, 77, D): embeddings of the negative prompt, then of the prompt."""
        texts, length = [negative_prompt, prompt], self.tokenizer.model_max_length
        for tokens in self.tokenizer(texts).input_ids:
            if len(tokens) > length:
                unread = self.tokenizer.decode(tokens[length - 1 : -1])
                on_warning(f'The prompt is too long for the model, which does not read "{unread}".')
        tokens = self.tokenizer(
            texts,
            padding="max_length",
            max_length=length,
            truncation=True,
            return_tensors="pt",
        )
        return self.text_encoder(tokens.input_ids.to(self.device))[0]

    def _decode(self, latents: torch.Tensor, plan: MemoryPlan, hooks: Hooks) -> np.ndarray:
        """From latents (V, C, F, h, w) to videos (V, F, H, W, 3) in [0, 1]."""
        views, _, frames = latents.shape[:3]
        flat = latents.transpose(1, 2).flatten(0, 1) / self.vae.config.scaling_factor
        images = []
        with self._in_place(self.vae):
            for batch in flat.to(self.dtype).split(plan.decode_batch):
                decoded = self.vae.decode(batch, return_dict=False)[0].float()
                images.append((decoded / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu())
                hooks.on_progress(Progress("decoding", sum(map(len, images)), views * frames))
        return torch.cat(images).unflatten(0, (views, frames)).numpy()


def _plan(plan: MemoryPlan | None, dtype: torch.dtype | None) -> MemoryPlan:
    plan = plan or MemoryPlan()
    return plan if dtype is None else replace(plan, precision=precision_of(dtype))


@dataclass(frozen=True)
class _Schedule:
    """Numbers that determine how often a run predicts the noise."""

    steps: int
    multistep: int
    accumulate: int

    @classmethod
    def of(cls, settings: SamplingSettings) -> _Schedule:
        """From settings with every number set."""
        steps, multistep, accumulate = settings.num_inference_steps, settings.multistep, settings.accumulate_step
        assert steps is not None
        assert multistep is not None
        assert accumulate is not None
        return cls(steps, multistep, accumulate)

    def predictions(self) -> int:
        """Number of predictions in a whole run."""
        return unet_calls(self.steps, self.multistep, self.accumulate)

    def predictions_before(self, state: SamplerState) -> int:
        """Number of predictions before a state."""
        return (state.index * self.multistep + state.recurrence) * self.accumulate


def _load_component(model_class: type[Any], folder: Path) -> Any:
    """One of our own networks from its config and weights."""
    component = read_component(folder, "diffusion_pytorch_model")
    # diffusers writes the arguments of `UNetMotionModel`, too. They follow from ours.
    arguments = signature(model_class).parameters.keys() & component.config.keys()
    model = empty_model(model_class, {name: component.config[name] for name in arguments})
    load_part(model, component.tensors, lambda name: name, set(model.state_dict()), component.file)
    return model
