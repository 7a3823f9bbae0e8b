"""Base models and LoRAs in all formats that users have, merged into the same network."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.single_file import single_file

from cvd import CollaborativeVideoPipeline
from cvd.errors import CheckpointError

StateDict = dict[str, torch.Tensor]
LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
TEXT_LAYER = "encoder.layers.1.self_attn.q_proj"


def weights(pipe: CollaborativeVideoPipeline) -> StateDict:
    return {
        f"{name}.{key}": tensor
        for name in ("unet", "vae", "text_encoder")
        for key, tensor in getattr(pipe, name).state_dict().items()
    }


def assert_same(a: StateDict, b: StateDict) -> None:
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        torch.testing.assert_close(tensor, b[name], rtol=1e-6, atol=1e-7, msg=name)


def changed(a: StateDict, b: StateDict) -> set[str]:
    return {name for name, tensor in a.items() if not torch.equal(tensor, b[name])}


@pytest.fixture(scope="module")
def base_tensors(official_folder: Path) -> tuple[StateDict, StateDict, StateDict]:
    base = official_folder / "StableDiffusion"
    return (
        load_file(base / "unet" / "diffusion_pytorch_model.safetensors"),
        load_file(base / "vae" / "diffusion_pytorch_model.safetensors"),
        load_file(base / "text_encoder" / "model.safetensors"),
    )


@pytest.fixture(scope="module")
def adapted(official_folder: Path) -> StateDict:
    """The official default: the folder of the U-Net with the adapter that the official tool merged."""
    return weights(CollaborativeVideoPipeline.from_official(official_folder))


@pytest.fixture(scope="module")
def plain(official_folder: Path) -> StateDict:
    return weights(CollaborativeVideoPipeline.from_official(official_folder, unet_subfolder="unet"))


def test_the_adapter_matters(adapted: StateDict, plain: StateDict) -> None:
    names = changed(adapted, plain)
    assert len(names) == 128
    assert all("attentions" in name for name in names)


def test_the_adapter_is_merged_in_the_loader_where_the_merged_folder_is_missing(
    official_folder: Path, tmp_path: Path, adapted: StateDict
) -> None:
    folder = Path(shutil.copytree(official_folder, tmp_path / "official"))
    shutil.rmtree(folder / "StableDiffusion" / "unet_webvidlora_v3")
    assert_same(weights(CollaborativeVideoPipeline.from_official(folder)), adapted)


def test_without_the_adapter(official_folder: Path, plain: StateDict) -> None:
    assert_same(weights(CollaborativeVideoPipeline.from_official(official_folder, adapter=False)), plain)


@pytest.mark.parametrize("adapter", [True, False])
@pytest.mark.parametrize("form", ["folder", "safetensors", "ckpt", "wrapped ckpt"])
def test_custom_base_models(
    official_folder: Path,
    tmp_path: Path,
    base_tensors: tuple[StateDict, StateDict, StateDict],
    adapted: StateDict,
    plain: StateDict,
    form: str,
    adapter: bool,
) -> None:
    path = tmp_path / f"custom.{form.split()[-1]}"
    if form == "folder":
        path = official_folder / "StableDiffusion"
    elif form == "safetensors":
        save_file({name: tensor.contiguous() for name, tensor in single_file(*base_tensors).items()}, path)
    elif form == "ckpt":
        torch.save(single_file(*base_tensors), path)
    else:
        torch.save({"state_dict": single_file(*base_tensors), "global_step": 3}, path)
    pipe = CollaborativeVideoPipeline.from_official(official_folder, base_model=path, adapter=adapter)
    assert_same(weights(pipe), adapted if adapter else plain)


def low_rank(rows: int, columns: int, rank: int = 2, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rank, columns, generator=generator), torch.randn(rows, rank, generator=generator)


def write_lora(path: Path, form: str, alpha: float) -> Path:
    """A LoRA of rank 2 that changes one layer of the U-Net and one of the text encoder."""
    down, up = low_rank(32, 32)
    text_down, text_up = low_rank(32, 32, seed=1)
    kohya, kohya_text = LAYER.replace(".", "_"), TEXT_LAYER.replace(".", "_")
    tensors = {
        "kohya": {
            f"lora_unet_{kohya}.lora_down.weight": down,
            f"lora_unet_{kohya}.lora_up.weight": up,
            f"lora_unet_{kohya}.alpha": torch.tensor(alpha),
            f"lora_te_text_model_{kohya_text}.lora_down.weight": text_down,
            f"lora_te_text_model_{kohya_text}.lora_up.weight": text_up,
            f"lora_te_text_model_{kohya_text}.alpha": torch.tensor(alpha),
        },
        # In diffusers' files the weights contain the alpha.
        "diffusers": {
            f"unet.{LAYER}.lora_A.weight": down,
            f"unet.{LAYER}.lora_B.weight": up * alpha / 2,
            f"text_encoder.text_model.{TEXT_LAYER}.lora_A.weight": text_down,
            f"text_encoder.text_model.{TEXT_LAYER}.lora_B.weight": text_up * alpha / 2,
        },
        "early diffusers": {
            f"unet.{LAYER.replace('.to_k', '.processor.to_k')}_lora.down.weight": down,
            f"unet.{LAYER.replace('.to_k', '.processor.to_k')}_lora.up.weight": up * alpha / 2,
            f"text_encoder.text_model.{TEXT_LAYER}.lora.down.weight": text_down,
            f"text_encoder.text_model.{TEXT_LAYER}.lora.up.weight": text_up * alpha / 2,
        },
    }[form]
    save_file(tensors, path)
    return path


@pytest.mark.parametrize("form", ["kohya", "diffusers", "early diffusers"])
def test_loras(official_folder: Path, tmp_path: Path, adapted: StateDict, form: str) -> None:
    path = write_lora(tmp_path / "style.safetensors", form, alpha=1.0)
    pipe = CollaborativeVideoPipeline.from_official(official_folder, lora=[(path, 0.5)])
    merged = weights(pipe)
    names = {f"unet.{LAYER}.weight", f"text_encoder.{TEXT_LAYER}.weight"}
    assert changed(merged, adapted) == names
    down, up = low_rank(32, 32)
    expected = adapted[f"unet.{LAYER}.weight"] + 0.5 * (1.0 / 2) * up @ down
    torch.testing.assert_close(merged[f"unet.{LAYER}.weight"], expected)


def test_several_loras_add_up(official_folder: Path, tmp_path: Path, adapted: StateDict) -> None:
    a = write_lora(tmp_path / "a.safetensors", "kohya", alpha=2.0)
    b = write_lora(tmp_path / "b.safetensors", "diffusers", alpha=2.0)
    merged = weights(CollaborativeVideoPipeline.from_official(official_folder, lora=[(a, 0.75), (b, -0.75)]))
    for name, tensor in merged.items():
        torch.testing.assert_close(tensor, adapted[name], atol=1e-5, rtol=1e-5)


def test_convolutions_in_loras(official_folder: Path, tmp_path: Path, adapted: StateDict) -> None:
    name = "down_blocks.0.resnets.0.conv1"
    stem = f"lora_unet_{name.replace('.', '_')}"
    down, up = torch.randn(2, 32, 3, 3), torch.randn(32, 2, 1, 1)
    save_file({f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up}, tmp_path / "conv.safetensors")
    pipe = CollaborativeVideoPipeline.from_official(official_folder, lora=[(tmp_path / "conv.safetensors", 1.0)])
    expected = adapted[f"unet.{name}.weight"] + torch.einsum("or,rihw->oihw", up[..., 0, 0], down)
    torch.testing.assert_close(pipe.unet.state_dict()[f"{name}.weight"], expected)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (
            {"lora_unet_nowhere.lora_down.weight": (2, 4), "lora_unet_nowhere.lora_up.weight": (4, 2)},
            "lora_unet_nowhere",
        ),
        ({f"unet.{LAYER}.lora_A.weight": (2, 32)}, "is not whole"),
        ({f"unet.{LAYER}.lora_A.weight": (2, 7), f"unet.{LAYER}.lora_B.weight": (32, 2)}, "does not fit"),
        ({f"lora_unet_{LAYER}.hada_w1_a": (2, 32)}, "belongs to no LoRA layer"),
    ],
)
def test_loras_that_do_not_fit(official_folder: Path, tmp_path: Path, tensors: dict, message: str) -> None:
    path = tmp_path / "bad.safetensors"
    save_file({name: torch.zeros(shape) for name, shape in tensors.items()}, path)
    with pytest.raises(CheckpointError, match=message) as caught:
        CollaborativeVideoPipeline.from_official(official_folder, lora=[(path, 1.0)])
    assert str(path) in caught.value.message


def test_single_files_that_are_none(official_folder: Path, tmp_path: Path, base_tensors: tuple) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="not a Stable Diffusion checkpoint"):
        CollaborativeVideoPipeline.from_official(official_folder, base_model=tmp_path / "other.safetensors")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(CheckpointError, match="neither a folder nor"):
        CollaborativeVideoPipeline.from_official(official_folder, base_model=tmp_path / "notes.txt")
    tensors = {name: tensor.contiguous() for name, tensor in single_file(*base_tensors).items()}
    del tensors["model.diffusion_model.out.2.weight"]
    save_file(tensors, tmp_path / "partial.safetensors")
    with pytest.raises(CheckpointError, match=r"partial\.safetensors"):
        CollaborativeVideoPipeline.from_official(official_folder, base_model=tmp_path / "partial.safetensors")


@pytest.mark.parametrize("file", ["animatediff_mm.ckpt", "CVD.ckpt"])
def test_training_wrappers_are_taken_off(official_folder: Path, tmp_path: Path, adapted: StateDict, file: str) -> None:
    folder = Path(shutil.copytree(official_folder, tmp_path / "official"))
    content = torch.load(folder / file, weights_only=True)
    if file == "CVD.ckpt":
        content["unet_trainable_dict"] = {f"module.{k}": v for k, v in content["unet_trainable_dict"].items()}
    else:
        content = {"state_dict": {f"module.{name}": tensor for name, tensor in content.items()}, "epoch": 1}
    torch.save(content, folder / file)
    assert_same(weights(CollaborativeVideoPipeline.from_official(folder)), adapted)
