"""A second, very small model family with other rules: 4n + 1 frames, latents compressed in time, flow matching.

It moves in a straight line from noise to a picture of the prompt's length. It has no epipolar bias and no autoencoder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from cvd.errors import RequestError
from cvd.family import AS_IT_IS, Estimate, LoadOptions
from cvd.memory import MemoryPlan
from cvd.request import Hooks, Output, Progress, Request, Step
from cvd.sampling.state import SamplerState
from protocol.models import FrameRule, ModelInfo, SizeRule
from protocol.settings import SamplingSettings

NAME = "flow"
NO_HOOKS = Hooks()
INFO = ModelInfo(
    name="flowing",
    family=NAME,
    sizes=SizeRule(native=32, multiple=16),
    frames=FrameRule(at_once=81, most=81, step=4),
    defaults=SamplingSettings(num_inference_steps=3, guidance_scale=1.0),
    settings=("seed", "num_inference_steps"),
    inputs=("prompt", "cameras"),
)


class FlowModel:
    """`cvd.family.VideoModel`."""

    info = INFO

    def estimate(self, request: Request) -> Estimate:
        request.check(self.info)
        steps = request.resolved(self.info).num_inference_steps
        return Estimate(calls=steps or 0, frames=request.cameras.views * request.cameras.frames)

    def preview(self, latents: torch.Tensor) -> np.ndarray | None:
        return None

    def generate(
        self,
        request: Request,
        hooks: Hooks = NO_HOOKS,
        resume: SamplerState | None = None,
    ) -> Output:
        calls = self.estimate(request).calls
        cameras, seed = request.cameras, request.settings.seed
        shape = (cameras.views, 2, (cameras.frames - 1) // 4 + 1, cameras.height // 16, cameras.width // 16)
        target = torch.full(shape, len(request.prompt) / 100)
        state = resume or SamplerState(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))
        for index in range(state.index, calls):
            velocity = (target - state.latents) / (calls - index)
            state = SamplerState(state.latents + velocity, index=index + 1)
            hooks.on_progress(Progress("denoising", index + 1, calls))
            hooks.on_step(Step(index, calls, 1000 * (1 - index / calls), state, lambda: target))
        latents = state.latents.numpy()
        frames = np.repeat(latents[:, :1], 4, axis=2)[:, 0, 3:]
        videos = np.repeat(np.repeat(frames, 16, axis=2), 16, axis=3)[..., None].repeat(3, -1)
        hooks.on_progress(Progress("decoding", 1, 1))
        return Output(videos.clip(0, 1).astype(np.float32), latents)


class FlowFamily:
    """`cvd.family.ModelFamily`."""

    def find(self, folder: Path) -> ModelInfo | None:
        file = folder / "model.json"
        config: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
        return msgspec.convert(config, ModelInfo) if config.get("family") == NAME else None

    def files(self, folder: Path, options: LoadOptions) -> list[Path]:
        return [folder / "model.json"]

    def load(self, folder: Path, device: str, plan: MemoryPlan, options: LoadOptions) -> FlowModel:
        if options != AS_IT_IS:
            raise RequestError("This model cannot be changed.")
        return FlowModel()


def write_flow_model(folder: Path) -> None:
    """Writes a model of this family."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps(msgspec.to_builtins(INFO)))
