"""Stage 2: the image model, a text-to-image U-Net with its text encoder."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from cvd.training.autoencoder import to_images
from cvd.training.contact_sheet import write_contact_sheet
from cvd.training.diffusion import Diffusion, embed, sample
from cvd.training.latents import LatentPool, decode

PROMPTS = (
    "a red cube on a green floor",
    "a blue sphere on a yellow floor",
    "a red cube and a blue sphere on a green checkered floor",
    "a white cube on a blue checkered floor",
    "two yellow spheres on a purple floor",
    "an orange sphere on a black checkered floor",
    "a purple cube and a green cube on a white checkered floor",
    "a black sphere and a white sphere on a red floor",
)


class ImageStage:
    """Trains the U-Net and the text encoder together on single frames."""

    name = "image"

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        vae: AutoencoderKL,
        stills: LatentPool,
        output: Path,
        batch_size: int = 32,
        seed: int = 0,
    ) -> None:
        self.unet, self.text_encoder, self.tokenizer, self.vae = unet, text_encoder, tokenizer, vae
        self.stills, self.output, self.batch_size, self.learning_rate = stills, output, batch_size, 1e-3
        self.diffusion = Diffusion(seed)
        self.parameters = {f"unet.{name}": p for name, p in unet.named_parameters()} | {
            f"text_encoder.{name}": p for name, p in text_encoder.named_parameters()
        }

    def loss(self) -> torch.Tensor:
        index = self.diffusion.rng.integers(len(self.stills), size=self.batch_size)
        latents = torch.from_numpy(self.stills.latents[index]).float()
        captions = self.diffusion.drop_captions([self.stills.captions[i] for i in index])
        text = embed(self.tokenizer, self.text_encoder, captions)
        return self.diffusion.loss(latents, lambda noisy, timesteps: self.unet(noisy, timesteps, text).sample)

    @torch.no_grad()
    def validate(self, picture: Path) -> str:
        each = 4
        text = embed(self.tokenizer, self.text_encoder, PROMPTS).repeat_interleave(each, 0)
        empty = embed(self.tokenizer, self.text_encoder, [""])
        shape = (len(text), *self.stills.latents.shape[1:])
        latents = sample(shape, text, empty, lambda *inputs: self.unet(*inputs).sample)
        images = to_images(decode(self.vae, latents))
        write_contact_sheet(picture, np.stack(np.split(images, len(PROMPTS) // 2)))
        return picture.name

    def save(self) -> None:
        self.unet.save_pretrained(self.output / "image_unet")
        self.text_encoder.save_pretrained(self.output / "text_encoder")
