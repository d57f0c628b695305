"""Sentence encoders, CLIP and SigLIP through transformers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from urecjpq.data.pictures import read_picture
from urecjpq.encoding.cards import EncoderCard
from urecjpq.encoding.encoder import Adapter, TorchEncoder
from urecjpq.encoding.libraries import import_library, quiet
from urecjpq.encoding.weights import Weights
from urecjpq.errors import InputError, require

if TYPE_CHECKING:
    from PIL.Image import Image

WEIGHTS = "model*.safetensors"
PACKAGES = ("transformers", "tokenizers", "torch", "pillow")
# Texts are padded to a multiple of this, so that few lengths differ and batches fill.
STEP = 8
PADDING = -1


class ImageEncoder(TorchEncoder):
    """Pictures through the image tower of CLIP or SigLIP."""

    def __init__(self, card: EncoderCard, network: Any, device: str, processor: Any) -> None:
        super().__init__(card, network, device)
        self.processor = processor

    def read(self, content: str | Path) -> np.ndarray:
        """Return the pixels of a picture, shape ``(3, height, width)``."""
        picture, settings = read_picture(content), {}
        if self.processor.do_center_crop:
            picture = self._cut_out(picture)
            settings = {"do_resize": False, "do_center_crop": False}
        return self.processor(picture, return_tensors="np", **settings)["pixel_values"][0]

    def _cut_out(self, picture: "Image") -> "Image":
        """Return the middle of a picture, resized, as CLIP's own code and open_clip cut it.

        Where an odd number of pixels is cut, transformers begins one pixel earlier: measured, the
        cosine to open_clip's features of a poster falls to 0.9976.
        """
        short, crop = self.processor.size["shortest_edge"], self.processor.crop_size
        sides = [short * side // min(picture.size) for side in picture.size]
        resized = picture.resize((sides[0], sides[1]), self.processor.resample)
        left = round((sides[0] - crop["width"]) / 2)
        top = round((sides[1] - crop["height"]) / 2)
        return resized.crop((left, top, left + crop["width"], top + crop["height"]))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the projected picture vectors."""
        return self.network.get_image_features(pixel_values=inputs).pooler_output


class TextEncoder(TorchEncoder):
    """Texts: the mean of a sentence encoder's tokens, or the projection of CLIP and SigLIP.

    Args:
        card: Names the pooling and the longest text.
        network: Of transformers.
        device: Of torch.
        tokenizer: A fast one of transformers.

    Source: Reimers & Gurevych, Sentence-BERT, EMNLP 2019 (arXiv:1908.10084) for the mean.
    """

    def __init__(self, card: EncoderCard, network: Any, device: str, tokenizer: Any) -> None:
        super().__init__(card, network, device)
        self.tokenizer = tokenizer
        self.longest = card.maximum_tokens or int(tokenizer.model_max_length)
        # SigLIP was trained with, and reads its vector from, the last of a fixed number of tokens.
        self.fixed = str(network.config.model_type).startswith("siglip")

    def read(self, content: str | Path) -> np.ndarray:
        """Return the tokens of a text and `PADDING` behind them, shape ``(length,)``."""
        tokens = self.tokenizer(str(content), truncation=True, max_length=self.longest)["input_ids"]
        length = self.longest if self.fixed else min(-(-len(tokens) // STEP) * STEP, self.longest)
        return np.array(tokens + [PADDING] * (length - len(tokens)), dtype=np.int64)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the pooled text vectors."""
        mask = inputs != PADDING
        tokens = inputs.where(mask, inputs.new_tensor(self.tokenizer.pad_token_id))
        if self.fixed:
            return self.network.get_text_features(input_ids=tokens).pooler_output
        given = {"input_ids": tokens, "attention_mask": mask.long()}
        if self.card.pooling == "projection":
            return self.network.get_text_features(**given).pooler_output
        states = self.network(**given).last_hidden_state.float()
        weights = mask.unsqueeze(-1).float()
        return (states * weights).sum(1) / weights.sum(1)


def _open_image(card: EncoderCard, weights: Weights, device: str) -> ImageEncoder:
    library, network = _load(card, weights)
    # Pillow's path, which needs no torchvision and rounds as the original code of CLIP does.
    processor = library.AutoImageProcessor.from_pretrained(
        weights.folder, local_files_only=True, trust_remote_code=False, backend="pil"
    )
    return ImageEncoder(card, network, device, processor)


def _open_text(card: EncoderCard, weights: Weights, device: str) -> TextEncoder:
    rule = f"pooling of {card.name} must be mean or projection"
    require(card.pooling is not None, rule, card.pooling)
    library, network = _load(card, weights)
    tokenizer = library.AutoTokenizer.from_pretrained(
        weights.folder, local_files_only=True, trust_remote_code=False
    )
    return TextEncoder(card, network, device, tokenizer)


def _load(card: EncoderCard, weights: Weights) -> tuple[Any, Any]:
    library = import_library("transformers", "text", card.name)
    library.utils.logging.disable_progress_bar()
    try:
        with quiet():  # what it reports is checked below
            network, loaded = library.AutoModel.from_pretrained(
                weights.folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        message = f"weights of {card.name} must be a model of transformers; got {weights.source}"
        raise InputError(f"{message}: {error}.") from None
    # A mean over tokens has no use for the pooler, which some sentence encoders lack.
    missing = [name for name in loaded["missing_keys"] if not name.startswith("pooler.")]
    rule = f"weights of {card.name} must fit its config.json"
    require(not missing, rule, f"nothing for {', '.join(sorted(missing)[:3])}")
    return library, network


IMAGE = Adapter(WEIGHTS, PACKAGES, _open_image)
TEXT = Adapter(WEIGHTS, PACKAGES, _open_text)
