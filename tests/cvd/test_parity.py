"""Recorded runs of the official implementation, reproduced number by number from files in its formats."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cvd import Cameras, CollaborativeVideoPipeline
from cvd.conditioning.epipolar import fundamental_matrices
from cvd.conditioning.plucker import plucker_maps
from cvd.sampling.pairing import partners_from_permutation

DATA = Path(__file__).parents[1] / "data" / "parity"
RUNS = ("pair_horizontal", "pair_slope", "four_views_recurrent", "six_views_accumulate")


class Recording:
    """One recorded run: its settings (`meta`), its arrays, and its cameras."""

    def __init__(self, name: str) -> None:
        self.arrays = np.load(DATA / f"{name}.npz")
        self.meta = json.loads(str(self.arrays["meta"]))
        self.views = self.meta["views"]
        self.cameras = Cameras(self.arrays["c2w"], self.arrays["K"], self.meta["height"], self.meta["width"])

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def ours(self, batch: np.ndarray) -> np.ndarray:
        """From the official order of a batch (views outermost) to ours (guidance branches outermost)."""
        return batch.reshape(self.views, 2, *batch.shape[1:]).swapaxes(0, 1).reshape(batch.shape)


def relative_error(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


@pytest.fixture(scope="module", params=RUNS)
def recording(request: pytest.FixtureRequest) -> Recording:
    return Recording(request.param)


@pytest.fixture(scope="module")
def pipe(official_folder: Path) -> CollaborativeVideoPipeline:
    return CollaborativeVideoPipeline.from_official(official_folder)


def test_plucker_map(recording: Recording) -> None:
    ours = plucker_maps(recording.cameras)[1, 9, :, ::4, ::4]
    np.testing.assert_allclose(ours, recording["plucker_view1_frame9"], atol=1e-6)


def test_fundamental_matrices(recording: Recording) -> None:
    pairings = recording["pairings"]
    partner = partners_from_permutation(pairings[0] if len(pairings) else [0, 1])
    c2w, K = recording.cameras.c2w, recording.cameras.K
    ours = fundamental_matrices(c2w, K, c2w[partner], K[partner])
    theirs = recording["fundamental"][::2]
    sign = np.sign(np.sum(ours * theirs))  # F is homogeneous: with another sign it gives the same lines
    assert relative_error(sign * ours, theirs) < 1e-5  # recorded from float32 inversions


def test_text_embeddings(recording: Recording, pipe: CollaborativeVideoPipeline) -> None:
    text = pipe._encode_text(recording.meta["prompt"], recording.meta["negative_prompt"], pytest.fail)
    assert relative_error(text.numpy(), recording["text"][:2]) < 1e-6


def test_camera_features(recording: Recording, pipe: CollaborativeVideoPipeline) -> None:
    with torch.inference_mode():
        features = pipe.camera_encoder(plucker_maps(recording.cameras).transpose(1, 2))
    # The record has both guidance branches. Their features are the same.
    norms = [np.sqrt(2) * feature.norm().item() for feature in features]
    np.testing.assert_allclose(norms, recording["pose_feature_norms"], rtol=1e-5)


@pytest.mark.slow
def test_whole_run(recording: Recording, pipe: CollaborativeVideoPipeline) -> None:
    meta, unet_outputs, latents = recording.meta, [], []
    hook = pipe.unet.register_forward_hook(lambda module, arguments, output: unet_outputs.append(output[0].numpy()))
    try:
        output = pipe(
            meta["prompt"],
            recording.cameras,
            negative_prompt=meta["negative_prompt"],
            num_inference_steps=meta["steps"],
            guidance_scale=meta["guidance_scale"],
            multistep=meta["multistep"],
            accumulate_step=meta["accumulate_step"],
            latents=_normal(meta["seed"], recording["latents_final"].shape),
            pairings=recording["pairings"] if recording.views > 2 else None,
            renoise=lambda n, shape: _normal(1000 + n, shape),
            pseudo_slope="horizontal" if meta["slope"] is None else meta["slope"],
            on_latents=lambda current: latents.append(current.numpy()),
        )
    finally:
        hook.remove()

    assert relative_error(unet_outputs[0], recording.ours(recording["unet_out"])) < 1e-5
    assert relative_error(latents[0], recording["latents_first_step"]) < 1e-4
    assert relative_error(output.latents, recording["latents_final"]) < 1e-4
    for frame in (0, 15):
        ours = output.videos[:, frame, ::2, ::2].transpose(0, 3, 1, 2)
        assert relative_error(ours, recording[f"video_frame{frame}"]) < 1e-3
    calls = len(recording["pairings"]) or meta["steps"]
    assert len(unet_outputs) == calls


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.02), (torch.float16, 0.003)])
def test_half_precision(
    official_folder: Path, pipe: CollaborativeVideoPipeline, dtype: torch.dtype, tolerance: float
) -> None:
    """The first U-Net call of a recorded run, compared with the same call in float32."""
    recording = Recording("pair_slope")

    def first_call(pipe: CollaborativeVideoPipeline) -> np.ndarray:
        class FirstCall(Exception):
            pass

        def keep(module: torch.nn.Module, arguments: tuple, output: tuple) -> None:
            raise FirstCall(output[0].float().numpy())

        meta, hook = recording.meta, pipe.unet.register_forward_hook(keep)
        try:
            pipe(
                meta["prompt"],
                recording.cameras,
                negative_prompt=meta["negative_prompt"],
                num_inference_steps=meta["steps"],
                latents=_normal(meta["seed"], recording["latents_final"].shape),
                pseudo_slope=meta["slope"],
            )
        except FirstCall as call:
            return call.args[0]
        finally:
            hook.remove()
        raise AssertionError("the U-Net was not called")

    half = CollaborativeVideoPipeline.from_official(official_folder, dtype=dtype)
    assert relative_error(first_call(half), first_call(pipe)) < tolerance


def _normal(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.RandomState(seed).standard_normal(shape)
