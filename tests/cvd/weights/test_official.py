"""Wrong checkpoints: the error names the file and the tensor."""

import json
import shutil
import sys
import types
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cvd import CollaborativeVideoPipeline
from cvd.errors import CheckpointError
from cvd.models.unet import CollaborativeUNet
from cvd.weights.files import read_tensors
from cvd.weights.model_info import read_info, write_info
from protocol.models import GuidanceRule, SizeRule
from protocol.settings import SamplingSettings


@pytest.fixture
def official_copy(official_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(official_folder, tmp_path / "official"))


@pytest.fixture
def tiny_copy(tiny_model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model_folder, tmp_path / "tiny"))


FILES = (
    "CVD.ckpt",
    "CameraCtrl.ckpt",
    "animatediff_mm.ckpt",
    "StableDiffusion/unet_webvidlora_v3/diffusion_pytorch_model.safetensors",
    "StableDiffusion/vae/diffusion_pytorch_model.safetensors",
    "StableDiffusion/text_encoder/model.safetensors",
)


@pytest.mark.parametrize("file", [*FILES, "StableDiffusion/tokenizer/vocab.json", "StableDiffusion/vae/config.json"])
def test_missing_file_is_named(official_copy: Path, file: str) -> None:
    (official_copy / file).unlink()
    with pytest.raises(CheckpointError, match="does not exist") as caught:
        CollaborativeVideoPipeline.from_official(official_copy)
    assert str(official_copy / file) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("file", FILES)
def test_truncated_file_is_named(official_copy: Path, file: str) -> None:
    path = official_copy / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match="cannot be read") as caught:
        CollaborativeVideoPipeline.from_official(official_copy)
    assert str(path) in caught.value.message


def test_text_file_is_not_a_checkpoint(official_copy: Path) -> None:
    (official_copy / "CVD.ckpt").write_text("<html>Quota exceeded</html>")
    with pytest.raises(CheckpointError, match=r"CVD\.ckpt cannot be read"):
        CollaborativeVideoPipeline.from_official(official_copy)


def test_pickled_code_is_not_run(official_copy: Path, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    torch.save({"unet_trainable_dict": _Payload(trace)}, official_copy / "CVD.ckpt")
    with pytest.raises(CheckpointError, match=r"CVD\.ckpt holds a Python object .* \.safetensors"):
        CollaborativeVideoPipeline.from_official(official_copy)
    assert not trace.exists()


def test_what_lightning_leaves_beside_the_weights_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stable Diffusion's own .ckpt files have the class of a callback as a key."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    module = types.ModuleType(name)
    module.ModelCheckpoint = type("ModelCheckpoint", (), {"__module__": name})
    path = tmp_path / "sd.ckpt"
    with monkeypatch.context() as installed:
        for parent in ("pytorch_lightning", "pytorch_lightning.callbacks"):
            installed.setitem(sys.modules, parent, types.ModuleType(parent))
        installed.setitem(sys.modules, name, module)
        torch.save({"callbacks": {module.ModelCheckpoint: {"best": 1}}, "state_dict": {"a": torch.ones(2)}}, path)
    assert read_tensors(path)["a"].tolist() == [1, 1]


FIRST_LAYOUT = {
    "name": "x",
    "native_size": 64,
    "size_multiple": 8,
    "max_frames": 16,
    "num_inference_steps": 20,
    "guidance_scale": 5.0,
    "guides_synchronisation": True,
    "late_guidance": 0.25,
}


def test_a_model_description_of_the_first_release_is_understood(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps(FIRST_LAYOUT))
    info = read_info(tmp_path)
    assert (info.name, info.family, info.sizes, info.frames.at_once) == (
        "x",
        "cvd",
        SizeRule(native=64, multiple=8),
        16,
    )
    assert info.defaults == SamplingSettings(num_inference_steps=20, guidance_scale=5.0)
    assert info.guidance == GuidanceRule(frees_unconditional=True, late_share=0.25)
    write_info(tmp_path, info)
    assert read_info(tmp_path) == info


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "not a JSON object"),
        ('{"name": "x"}', "does not describe a model: .*sizes"),
        (json.dumps(FIRST_LAYOUT | {"native_size": "64"}), r"native"),
        (json.dumps(FIRST_LAYOUT | {"guides_synchronisation": "no"}), r"frees_unconditional"),
        (json.dumps(FIRST_LAYOUT | {"name": "../x"}), r"name"),
    ],
)
def test_a_model_description_that_is_none(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(CheckpointError, match=message):
        read_info(tmp_path)


def test_image_models_may_leave_out_what_is_usual() -> None:
    given = {"block_out_channels": [32, 64], "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"]}
    config = CollaborativeUNet.config_from_unet2d(given | {"cross_attention_dim": 16})
    assert CollaborativeUNet(**config).config.block_out_channels == (32, 64)


class _Payload:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return Path.touch, (self.trace,)


def test_wrong_file_in_place_of_another(official_copy: Path) -> None:
    shutil.copy(official_copy / "CVD.ckpt", official_copy / "CameraCtrl.ckpt")
    with pytest.raises(CheckpointError, match="attention_processor_state_dict") as caught:
        CollaborativeVideoPipeline.from_official(official_copy)
    assert "CameraCtrl.ckpt" in caught.value.message


def test_tensors_that_do_not_fit_are_named(tiny_copy: Path) -> None:
    path = tiny_copy / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    tensors["conv_inn.weight"] = tensors.pop("conv_in.weight")
    tensors["conv_out.bias"] = torch.zeros(7)
    save_file(tensors, path)
    with pytest.raises(CheckpointError) as caught:
        CollaborativeVideoPipeline.from_pretrained(tiny_copy)
    message = caught.value.message
    assert str(path) in message
    for part in ("1 tensors missing (first: conv_in.weight)", "conv_inn.weight", "conv_out.bias is (7,), not (4,)"):
        assert part in message


def test_motion_checkpoint_of_another_version(official_copy: Path) -> None:
    path = official_copy / "animatediff_mm.ckpt"
    tensors = torch.load(path, weights_only=True)
    tensors["mid_block.motion_modules.0.temporal_transformer.norm.weight"] = torch.ones(64)  # AnimateDiff v2 has this
    torch.save(tensors, path)
    with pytest.raises(CheckpointError, match=r"unknown tensors \(first: mid_block\.motion_modules"):
        CollaborativeVideoPipeline.from_official(official_copy)


def test_old_autoencoder_names_are_understood(official_copy: Path, official_folder: Path) -> None:
    path = official_copy / "StableDiffusion" / "vae" / "diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = load_file(path)
    for name in list(tensors):
        for new_name, old_name in old.items():
            if f"attentions.0.{new_name}." in name:
                tensors[name.replace(new_name, old_name)] = tensors.pop(name)
    save_file(tensors, path)
    expected = CollaborativeVideoPipeline.from_official(official_folder).vae.state_dict()
    actual = CollaborativeVideoPipeline.from_official(official_copy).vae.state_dict()
    assert all(torch.equal(actual[name], tensor) for name, tensor in expected.items())


def test_own_format_round_trip(tiny_model_folder: Path, tmp_path: Path) -> None:
    pipe = CollaborativeVideoPipeline.from_pretrained(tiny_model_folder)
    pipe.save_pretrained(tmp_path / "again")
    again = CollaborativeVideoPipeline.from_pretrained(tmp_path / "again")
    assert again.info == pipe.info
    assert not any(str(tiny_model_folder) in path.read_text() for path in tmp_path.rglob("*.json"))
    for name in ("unet", "camera_encoder", "vae", "text_encoder"):
        expected, actual = getattr(pipe, name).state_dict(), getattr(again, name).state_dict()
        assert all(torch.equal(actual[key], tensor) for key, tensor in expected.items())
