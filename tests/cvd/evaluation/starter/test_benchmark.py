"""The starter model's benchmark: its cases, its arms, and a second run in the same folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cvd.cameras.patterns import pattern_cameras
from cvd.evaluation.starter import benchmark as starter_benchmark
from cvd.evaluation.starter.benchmark import Benchmark, load_pipeline, summarise
from cvd.evaluation.starter.cases import held_out_cases
from cvd.takes.takes import read_videos


def test_cases_do_not_depend_on_how_many_there_are() -> None:
    few, more = list(held_out_cases(2, 64, 4)), list(held_out_cases(3, 64, 4))
    for a, b in zip(few, more, strict=False):
        assert a.prompt == b.prompt
        np.testing.assert_array_equal(a.cameras.c2w, b.cameras.c2w)
    assert len({case.prompt for case in more}) == 3


@pytest.mark.slow
def test_measures_of_ground_truth_are_taken_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--out", str(tmp_path), "--prompts", "1", "--arms", "rendered", "unrelated"]
    assert starter_benchmark.main(arguments) == 0
    assert "score of rendered pairs" in capsys.readouterr().out
    document = json.loads((tmp_path / "benchmark.json").read_text())
    scores = {arm: measures["score"] for arm, measures in document["arms"].items()}
    assert scores["rendered"] > 0.8
    assert scores["unrelated"] < 0.3
    assert document["arms"]["rendered"]["colours_right"] == 1
    measures = tmp_path / "rendered" / "00" / "measures.json"
    measures.write_text(json.dumps(json.loads(measures.read_text()) | {"score": 0.125}))
    assert starter_benchmark.main(arguments) == 0
    assert json.loads((tmp_path / "benchmark.json").read_text())["arms"]["rendered"]["score"] == 0.125


def test_without_its_epipolar_modules_a_model_makes_each_view_on_its_own(tiny_model_folder: Path) -> None:
    cameras = pattern_cameras("circle", 2, 64, 64, frames=2)
    noise = torch.randn(2, 4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    other = torch.cat([noise[:1], -noise[1:]])

    def first_view(synchronised: bool, latents: torch.Tensor) -> np.ndarray:
        pipe = load_pipeline(str(tiny_model_folder), "cpu", synchronised)
        return pipe("a cube", cameras, num_inference_steps=1, latents=latents).videos[0]

    assert np.abs(first_view(True, noise) - first_view(True, other)).max() > 1e-4
    np.testing.assert_allclose(first_view(False, noise), first_view(False, other), atol=1e-6)


def test_a_models_takes_are_kept(tiny_model_folder: Path, tmp_path: Path) -> None:
    benchmark = Benchmark(tmp_path, str(tiny_model_folder), count=1, device="cpu")
    (case,) = benchmark.cases
    benchmark.make("identical", case)
    folder = benchmark.take_folder("identical", case)
    videos = read_videos(folder)
    assert videos.shape == (2, 16, 64, 64, 3)
    assert (videos[0] != videos[1]).any(), "the views start from different noise"
    written = (folder / "take.json").stat().st_mtime_ns
    benchmark.make("identical", case)
    assert (folder / "take.json").stat().st_mtime_ns == written


def test_a_reconstruction_is_what_the_models_autoencoder_makes_of_the_truth(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    benchmark = Benchmark(tmp_path, str(tiny_model_folder), count=1, device="cpu")
    (case,) = benchmark.cases
    benchmark.make("reconstructed", case)
    vae = load_pipeline(str(tiny_model_folder), "cpu", True).vae
    true = torch.from_numpy(case.rendered()[1, :1]).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        expected = vae.decode(vae.encode(true).latent_dist.mode()).sample.clamp(-1, 1) * 127.5 + 127.5
    found = read_videos(benchmark.take_folder("reconstructed", case))[1, :1]
    np.testing.assert_allclose(found, expected.permute(0, 2, 3, 1), atol=1)


def test_the_gain_is_the_share_of_what_was_to_be_gained() -> None:
    measured = {arm: [{"score": score}] for arm, score in (("rendered", 0.9), ("model", 0.6), ("alone", 0.1))}
    assert summarise(measured)["model"]["gain"] == pytest.approx(0.625)
