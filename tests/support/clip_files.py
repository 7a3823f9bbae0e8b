"""A tiny random CLIP model in transformers' layout."""

from pathlib import Path

import torch
from support.tokenizer_files import VOCABULARY_SIZE, write_tokenizer
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig


def write_tiny_clip(folder: Path) -> None:
    """Images of 32 pixels in patches of 8, embeddings of 12."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = CLIPTextConfig(**sizes, vocab_size=VOCABULARY_SIZE, bos_token_id=512, eos_token_id=513, pad_token_id=513)
    vision = CLIPVisionConfig(**sizes, image_size=32, patch_size=8)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=12)
    CLIPModel(config).save_pretrained(folder)
    write_tokenizer(folder)
