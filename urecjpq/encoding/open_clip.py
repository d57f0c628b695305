"""CLIP and its kin through open_clip: pictures and texts in one space."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from urecjpq.data.pictures import read_picture
from urecjpq.encoding.cards import EncoderCard
from urecjpq.encoding.encoder import Adapter, TorchEncoder
from urecjpq.encoding.libraries import import_library, quiet
from urecjpq.encoding.weights import Weights
from urecjpq.errors import InputError, require
from urecjpq.files import digest_of

WEIGHTS = "open_clip_model.safetensors"
CONFIG = "open_clip_config.json"
PACKAGES = ("open_clip_torch", "torchvision", "torch", "pillow")


class ImageEncoder(TorchEncoder):
    """Pictures through the image tower, with the transform that belongs to the weights."""

    @cached_property
    def transform(self) -> Any:
        library = _library(self.card)
        settings = library.transform.PreprocessCfg(**self.network.visual.preprocess_cfg)
        return library.transform.image_transform_v2(settings, is_train=False)

    def read(self, content: str | Path) -> np.ndarray:
        """Return the pixels of a picture, shape ``(3, height, width)``."""
        return self.transform(read_picture(content)).numpy()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the projected picture vectors."""
        return self.network.encode_image(inputs)


class TextEncoder(TorchEncoder):
    """Texts through the text tower, always over its whole context: its positions are fixed."""

    @cached_property
    def tokenizer(self) -> Any:
        return _library(self.card).get_tokenizer(_name(self.card, self.folder))

    def __init__(self, card: EncoderCard, network: nn.Module, device: str, folder: Path | None):
        super().__init__(card, network, device)
        self.folder = folder

    def read(self, content: str | Path) -> np.ndarray:
        """Return the tokens of a text, shape ``(context,)``."""
        return self.tokenizer([str(content)])[0].numpy()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the projected text vectors."""
        return self.network.encode_text(inputs)


def _open_image(card: EncoderCard, weights: Weights, device: str) -> ImageEncoder:
    encoder = ImageEncoder(card, _network(card, weights), device)
    encoder.transform  # noqa: B018 - made before threads ask for it
    return encoder


def _open_text(card: EncoderCard, weights: Weights, device: str) -> TextEncoder:
    encoder = TextEncoder(card, _network(card, weights), device, weights.folder)
    encoder.tokenizer  # noqa: B018 - made before threads ask for it
    return encoder


def _library(card: EncoderCard) -> Any:
    return import_library("open_clip", "clip", card.name)


def _name(card: EncoderCard, folder: Path | None) -> str:
    if folder is not None and (folder / CONFIG).is_file():
        return f"local-dir:{folder}"
    known = _library(card).list_models()
    hint = f"Put {CONFIG} beside the weights, or name the architecture."
    require(
        card.model in known, f"model of {card.name} must be one of open_clip's", card.model, hint
    )
    return str(card.model)


def _network(card: EncoderCard, weights: Weights) -> nn.Module:
    library = _library(card)
    name = _name(card, weights.folder)
    # Random values, of text and image towers alike, unless weights follow; no other seed moves.
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(weights.seed or 0)
        try:
            network = library.create_model(
                name, load_weights=False, pretrained_image=False, pretrained_text=False
            )
            if weights.folder is not None:
                (file,) = weights.folder.glob(WEIGHTS)
                library.load_checkpoint(network, str(file), strict=True)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            message = f"weights of {card.name} must be a model of open_clip; got {weights.source}"
            raise InputError(f"{message}: {error}.") from None
    return network


def _hash_random(card: EncoderCard, seed: int) -> str:
    return digest_of(_network(card, Weights("", seed=seed)).state_dict())


IMAGE = Adapter(WEIGHTS, PACKAGES, _open_image, _hash_random)
TEXT = Adapter(WEIGHTS, PACKAGES, _open_text, _hash_random)
