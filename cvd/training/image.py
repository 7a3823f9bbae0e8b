"""The image stage: training of a text-to-image U-Net and its text encoder on stills."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from ..pipeline import CollaborativeVideoPipeline
from .batches import Batch
from .datasets import Request
from .diffusion import diffusion_loss, embed, sample
from .latents import decode, to_images
from .model import STARTER_INFO, extract_image_unet, merge_image_unet, save_model, save_tokenizer, starter_scheduler
from .stage import Stage

SAMPLES_PER_CAPTION = 5


class ImageStage(Stage):
    """Trains the U-Net and the text encoder together.

    Args:
        unet, text_encoder: networks that are trained.
        tokenizer: tokenizer of the text encoder.
        vae: autoencoder of the latents.
        output: run folder that `image_unet`, `text_encoder` and `tokenizer` are written to.
        model: model that the networks belong to; it is written to the run folder, too. None: they are from scratch.
    """

    name = "image"
    batch_size = 32
    validation_size: ClassVar[int] = 8

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        vae: AutoencoderKL,
        output: Path,
        model: CollaborativeVideoPipeline | None = None,
    ) -> None:
        super().__init__()
        self.unet, self.text_encoder, self.tokenizer, self.vae = unet, text_encoder, tokenizer, vae
        self.output, self.model = output, model
        self.scheduler = starter_scheduler() if model is None else model.scheduler
        self._train_only(
            {f"unet.{name}": p for name, p in unet.named_parameters()}
            | {f"text_encoder.{name}": p for name, p in text_encoder.named_parameters()}
        )

    @classmethod
    def of_model(cls, model: CollaborativeVideoPipeline, output: Path) -> ImageStage:
        """The stage that trains the image part of a whole model."""
        unet = extract_image_unet(model.unet)
        return cls(unet, model.text_encoder, model.tokenizer, model.vae, output, model)

    @property
    def request(self) -> Request:
        return Request()

    def forward(self, batch: Batch) -> torch.Tensor:
        text = embed(self.tokenizer, self.text_encoder, batch.captions)
        weight = self._weight(batch)
        return diffusion_loss(
            self.scheduler,
            self._latents(batch)[:, :, 0],
            lambda noisy, timesteps: self.unet(noisy, timesteps, text).sample,
            batch.seed,
            weight=None if weight is None else weight[:, :, 0],
        )

    @torch.no_grad()
    def validate(self) -> tuple[dict[str, float], np.ndarray]:
        """No measures; a row for every held-out caption: its true frame, then generated frames."""
        true = self._latents(self.validation)[:, :, 0]
        text = embed(self.tokenizer, self.text_encoder, self.validation.captions)
        text = text.repeat_interleave(SAMPLES_PER_CAPTION, 0)
        empty = embed(self.tokenizer, self.text_encoder, [""])
        generated = sample(
            self.scheduler,
            (len(text), *true.shape[1:]),
            text,
            empty,
            lambda *inputs: self.unet(*inputs).sample,
            self.model.info if self.model else STARTER_INFO,
        )
        rows = torch.cat([true[:, None], generated.unflatten(0, (-1, SAMPLES_PER_CAPTION))], 1)
        images = to_images(decode(self.vae, rows.flatten(0, 1)))
        return {}, images.reshape(len(rows), -1, *images.shape[1:])

    def save(self) -> None:
        self.unet.save_pretrained(self.output / "image_unet")
        self.text_encoder.save_pretrained(self.output / "text_encoder")
        save_tokenizer(self.tokenizer, self.output / "tokenizer")
        if self.model is not None:
            merge_image_unet(self.unet, self.model.unet)
            save_model(self.model, self.output)
