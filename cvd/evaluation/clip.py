"""CLIP scores: do the frames show the prompt (CLIP-T), and do consecutive frames look alike (CLIP-F)?

The user gives the weights, as a folder in transformers' layout. `distributions` compares the model's image embeddings.
FID's usual Inception network is not used. Its published weights are TorchScript or pickles. It ranks images by
ImageNet's classes and not by their looks (Kynkaanniemi et al., 2023).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import interpolate
from transformers import CLIPModel, CLIPTokenizer
from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from ..errors import CheckpointError, RequestError

Array = NDArray[np.float64]

BATCH = 32


class Clip:
    """A CLIP model with its tokenizer.

    Args:
        folder: folder in transformers' layout: config.json, model.safetensors and the tokenizer's files.
            preprocessor_config.json is needed if the colours' mean and deviation are not CLIP's usual ones.
        device: device of the model.

    Raises:
        CheckpointError: the folder is not a CLIP model.
    """

    def __init__(self, folder: str | Path, device: str = "cpu") -> None:
        folder = Path(folder)
        try:
            self._model = CLIPModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
            self._tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{folder} is not a CLIP model: {error}",
                "Give a folder with config.json, model.safetensors and the tokenizer, as transformers saves them.",
            ) from error
        self._model = self._model.to(device).eval()
        self._device = device
        settings = folder / "preprocessor_config.json"
        values = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
        self._mean = values.get("image_mean", OPENAI_CLIP_MEAN)
        self._std = values.get("image_std", OPENAI_CLIP_STD)

    @torch.inference_mode()
    def embed_images(self, images: NDArray[np.uint8]) -> Array:
        """Embeddings (N, D), not normalised, of images (N, H, W, 3) in sRGB."""
        embeddings = [self._embed_batch(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        return torch.cat(embeddings).double().cpu().numpy()

    @torch.inference_mode()
    def embed_text(self, text: str) -> Array:
        """Embedding (D,), not normalised, of a text. The text is cut at the model's text length."""
        length = self._model.config.text_config.max_position_embeddings
        tokens = self._tokenizer(text, truncation=True, max_length=length, return_tensors="pt").to(self._device)
        pooled = self._model.text_model(**tokens).pooler_output
        return self._model.text_projection(pooled)[0].double().cpu().numpy()

    def _embed_batch(self, images: NDArray[np.uint8]) -> torch.Tensor:
        pixels = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2).float() / 255
        side = self._model.config.vision_config.image_size
        pixels = _cropped(pixels, side)
        mean, std = (torch.tensor(values, device=self._device)[:, None, None] for values in (self._mean, self._std))
        pooled = self._model.vision_model((pixels - mean) / std).pooler_output
        return self._model.visual_projection(pooled)


def read_reference(folder: Path, clip: Clip) -> Array:
    """(N, D) embeddings of all PNG and JPEG images below a folder. If it holds takes, only their frames are used.

    Raises:
        RequestError: there are no images.
    """
    images = sorted(folder.rglob("view_*/*.png"))
    images = images or sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    if not images:
        raise RequestError(f"{folder} holds no images.", "Give a folder with .png or .jpg files.")
    return np.concatenate([clip.embed_images(np.array(Image.open(path).convert("RGB"))[None]) for path in images])


def clip_text_score(frames: Array, text: Array) -> float:
    """CLIP-T: mean cosine similarity of frames (N, D) and their prompt (D,), in [-1, 1]."""
    return float((_normalised(frames) @ _normalised(text)).mean())


def clip_frame_score(videos: Array) -> float:
    """CLIP-F: mean cosine similarity of consecutive frames of the same view, (V, F, D), in [-1, 1].

    NaN for videos of a single frame.
    """
    normal = _normalised(videos)
    similarity = (normal[:, :-1] * normal[:, 1:]).sum(-1)
    return float(similarity.mean()) if similarity.size else float("nan")


def _normalised(vectors: Array) -> Array:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _cropped(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """(N, 3, H, W) to (N, 3, side, side): the smaller side is resized to `side`, and the centre is kept."""
    height, width = pixels.shape[-2:]
    scale = side / min(height, width)
    size = (max(side, round(height * scale)), max(side, round(width * scale)))
    pixels = interpolate(pixels, size, mode="bicubic", antialias=True).clamp(0, 1)
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    return pixels[..., top : top + side, left : left + side]
