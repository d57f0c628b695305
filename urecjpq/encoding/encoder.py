"""What every frozen encoder can do, and how to bring one of your own.

An encoder reads one item at a time and encodes batches of what it read. All that is around it is
the same for each: batches, shards on disk, resuming, processes, the features' file. For audio, or
for any network that has no card here, write the two methods and call `encode_contents`:

    class Loudness:
        def read(self, content):          # one item: an array, of any shape
            return samples_of(content)    # raise Unreadable for what cannot be read
        def encode(self, inputs, precision):
            return inputs.std(axis=1, keepdims=True).astype("float32")

    encoded = encode_contents(card, paths, encoder=Loudness())
    catalogue = replace(catalogue, features=catalogue.features | {"audio": encoded.features})

Vectors made elsewhere need no encoder at all: name a ``.npy`` file with one row per item under
``[features]`` of the data set's card (``audio = "audio.npy"``), and a mask under ``[present]``.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from urecjpq.encoding.cards import EncoderCard
from urecjpq.encoding.weights import Weights

Content = str | Path


class FrozenEncoder(Protocol):
    """What encodes the contents of items, one modality of them."""

    def read(self, content: Content) -> np.ndarray:
        """Return the network's input for one item; called in several threads.

        Inputs of one shape are encoded together: pad what has a length to few different ones.

        Args:
            content: A text, or the path of a picture or sound.

        Raises:
            Unreadable: The content cannot be encoded; the item will be absent.
        """
        ...

    def encode(self, inputs: np.ndarray, precision: str) -> np.ndarray:
        """Return the vectors of a batch.

        A row must depend on its own input only, not on the others of the batch.

        Args:
            inputs: Results of `read`, all of one shape. Shape ``(n, *shape)``.
            precision: ``float32`` or ``bfloat16``; an encoder that has no choice ignores it.

        Returns:
            float32. Shape ``(n, dimension)``.
        """
        ...


class Adapter(NamedTuple):
    """What a library brings for one modality.

    Args:
        weights: Pattern of its weights' files.
        packages: Packages whose versions decide the features.
        open: Makes the encoder; the last argument is the device.
        hash_random: Gives the sha256 of random weights; None where there can be none.
    """

    weights: str
    packages: tuple[str, ...]
    open: Callable[[EncoderCard, Weights, str], FrozenEncoder]
    hash_random: Callable[[EncoderCard, int], str] | None = None


class TorchEncoder:
    """A frozen network on a device; a subclass says how to read and what the network does.

    Args:
        card: Says whether vectors are scaled to length 1.
        network: Put into evaluation mode and onto the device.
        device: Of torch.
    """

    def __init__(self, card: EncoderCard, network: nn.Module, device: str) -> None:
        self.card = card
        self.device = torch.device(device)
        # Typed as Any: each library's networks have methods of their own.
        self.network: Any = network.eval().requires_grad_(False).to(self.device)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the vectors of a batch on the device, shape ``(n, dimension)``."""
        raise NotImplementedError

    def encode(self, inputs: np.ndarray, precision: str = "float32") -> np.ndarray:
        """Return the vectors of a batch, see `FrozenEncoder.encode`."""
        narrow = precision == "bfloat16"
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=narrow),
        ):
            vectors = self.forward(torch.from_numpy(inputs).to(self.device)).float()
        if self.card.normalised:
            vectors = nn.functional.normalize(vectors, dim=-1)
        return vectors.cpu().numpy()
