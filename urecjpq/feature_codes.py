"""Frozen features as product-quantised codes: at scale they outweigh everything that is trained.

A vector of f numbers becomes m sub-ids of one byte. Centroids are fitted once, by the package's own
product k-means, and are as frozen as the features; `urecjpq.graphs.features` projects the codes.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from urecjpq.assignment import assign_factors
from urecjpq.data.cache import cache_folder
from urecjpq.data.catalogue import Catalogue, Features, QuantisedFeatures
from urecjpq.errors import require
from urecjpq.files import digest_of, read_tensors, write_tensors

VERSION = 1
"""Goes up with every change of what is computed: the cache then has no codes yet."""


def with_quantised_features(
    catalogue: Catalogue, code_length: int, codebook_size: int = 256, seed: int = 0
) -> Catalogue:
    """Return the catalogue with all features as codes, kept in the cache by content hash.

    Take neighbours before: those that are there already stay, others would be of decoded vectors.

        catalogue = with_quantised_features(with_neighbours(catalogue), code_length=16)

    Args:
        catalogue: Features of any modalities.
        code_length: ``m``, a divisor of the width of each modality's features.
        codebook_size: ``b``, at most the number of items with content.
        seed: Of k-means.

    Raises:
        InputError: Sizes that do not fit, features that are codes already, or a damaged cache.
    """
    content = catalogue.content_digests
    features = {
        name: _cached(given, name, (code_length, codebook_size, seed), content[f"features.{name}"])
        for name, given in catalogue.features.items()
    }
    return replace(catalogue, features=features)


def _cached(
    features: Features, name: str, choices: tuple[int, int, int], digest: str
) -> QuantisedFeatures:
    parts = "-".join(map(str, (digest, *choices, VERSION)))
    path = cache_folder() / "feature_codes" / f"{parts}.safetensors"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_codes(path, quantise_features(features, *choices, name=name))
    return read_codes(path)


def quantise_features(
    features: Features,
    code_length: int,
    codebook_size: int = 256,
    seed: int = 0,
    name: str = "given",
) -> QuantisedFeatures:
    """Return features as codes and float32 centroids, fitted to the items with content.

    Args:
        features: Shape ``(num_items, f)``.
        code_length: ``m``, a divisor of ``f``.
        codebook_size: ``b``, at most the number of items with content.
        seed: Of k-means: same seed, same bits, on any number of threads.
        name: The modality, for messages.

    Raises:
        InputError: Sizes that do not fit, features that are codes already, or not finite.

    Source: Jégou et al., Product Quantization for Nearest Neighbor Search, PAMI 2011.
    """
    floats = features.values.dtype.kind == "f"
    require(floats, f"{name} features must be floats", features.values.dtype)
    rule = f"code_length must divide {features.width}, the width of the {name} features"
    require(code_length >= 1 and features.width % code_length == 0, rule, code_length)
    count = int(features.present.sum())
    rule = f"codebook_size must lie in [1, {count}], the number of items with {name} features"
    require(1 <= codebook_size <= count, rule, codebook_size)
    values = np.asarray(features.rows(np.flatnonzero(features.present)), dtype=np.float32)
    found = assign_factors(values, code_length, codebook_size, seed=seed)
    require(found.centroids is not None, "centroids must be there", "none")
    codes = np.zeros((len(features.present), code_length), dtype=found.codes.dtype)
    codes[features.present] = found.codes
    return QuantisedFeatures(codes, features.present, np.asarray(found.centroids))


def write_codes(path: Path, features: QuantisedFeatures) -> None:
    """Write codes, presence and centroids as one safetensors file, whole or not at all."""
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in vars(features).items()}
    write_tensors(path, tensors, {"sha256": digest_of(tensors)})


def read_codes(path: Path) -> QuantisedFeatures:
    """Return what `write_codes` wrote.

    Raises:
        InputError: The file is missing or damaged.
    """
    tensors, metadata = read_tensors(path)
    rule = f"{path} must match its own sha256"
    require(metadata.get("sha256") == digest_of(tensors), rule, "other bytes", "Delete it.")
    return QuantisedFeatures(**{name: tensor.numpy() for name, tensor in tensors.items()})
