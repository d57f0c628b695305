"""Frozen features of any number of modalities, and trained projections of them."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from torch import Tensor, nn

from urecjpq.data.catalogue import Features, QuantisedFeatures
from urecjpq.errors import require
from urecjpq.graphs.frozen import FrozenCodes
from urecjpq.graphs.frozen import FrozenFeatures as FrozenFeatures
from urecjpq.losses import bpr_loss
from urecjpq.sampling import Triples

Module = TypeVar("Module", bound=nn.Module)
BLOCK = 4096


class FrozenProjection(nn.Module):
    """``W x_i + c`` for frozen features ``x``, zero without content: only W and c are trained.

    Args:
        features: Shape ``(num_items, f)``.
        embedding_dim: ``d``, length of the projection.
        bias: Whether there is a ``c``.
    """

    def __init__(self, features: FrozenFeatures, embedding_dim: int, bias: bool = True) -> None:
        super().__init__()
        self.features = features
        self.linear = nn.Linear(features.width, embedding_dim, bias=bias)

    def forward(self, items: Tensor | None = None) -> Tensor:
        """Return the projected features of ``items``, all if None. Shape ``(*items.shape, d)``."""
        return self.features.project(self.linear, items) * self.features.mask(items)

    def loss(self, users: Tensor, batch: Triples) -> Tensor:
        """Return the BPR loss of user vectors against projected features. Scalar.

        A pair in which either item has no content counts as zero.
        """
        present = self.features.present
        known = present[batch.positives] & present[batch.negatives]
        if not known.any():
            return users.new_zeros(())
        positives, negatives = self(batch.positives[known]), self(batch.negatives[known])
        return bpr_loss(users[known], positives, negatives) * known.float().mean()


def frozen_features(
    features: Mapping[str, Features], num_items: int, unit: bool = False
) -> Mapping[str, FrozenFeatures]:
    """Return the features as modules by modality, in the order of their names.

    Args:
        features: By modality, at least one.
        num_items: Rows that each must have.
        unit: Whether rows are given length 1.

    Raises:
        InputError: No modality, a name that a module cannot have, other rows than items, a
            modality in which no item has content, or a value that is not finite.
    """
    hint = "Name encoders, or give the card features."
    require(bool(features), "features must hold at least one modality", "none", hint)
    for name, given in features.items():
        _check(name, given, num_items)
    return by_modality({name: _frozen(features[name], unit) for name in sorted(features)})


def _frozen(features: Features, unit: bool) -> FrozenFeatures:
    if isinstance(features, QuantisedFeatures):
        return FrozenCodes(features, unit)
    return FrozenFeatures(features, unit)


def by_modality(modules: Mapping[str, Module]) -> Mapping[str, Module]:
    """Return modules by modality as one module, so that a backbone may have them as attribute.

    Raises:
        InputError: A name that a module cannot have.
    """
    for name in modules:
        rule = "modalities must have plain names: not empty, no dot, no word of nn.ModuleDict's"
        require(bool(name) and "." not in name and not hasattr(nn.ModuleDict, name), rule, name)
    return nn.ModuleDict(modules)  # pyright: ignore[reportReturnType]


def _check(name: str, features: Features, num_items: int) -> None:
    values, present = features.values, features.present
    if isinstance(features, QuantisedFeatures):
        fits = values.shape[1:] == features.centroids.shape[:1]
        fits = fits and values.max(initial=0) < features.centroids.shape[1]
        rule = f"codes of the {name} features must fit centroids of {features.centroids.shape}"
        require(bool(fits), rule, f"codes of {values.shape} up to {values.max(initial=0)}")
        finite = bool(np.isfinite(features.centroids).all())
        require(finite, f"centroids of the {name} features must be finite", "others")
    require(
        values.ndim == 2 and values.shape[0] == num_items and values.shape[1] > 0,
        f"{name} features must have shape ({num_items}, f), one row per item",
        values.shape,
    )
    require(
        present.dtype == bool and present.shape == (num_items,),
        f"present of the {name} features must be bool with shape ({num_items},)",
        f"{present.dtype} with shape {present.shape}",
    )
    hint = "Leave the modality out."
    require(bool(present.any()), f"some item must have {name} features", "none", hint)
    for start in range(0, num_items, BLOCK):  # a memory-mapped file may be larger than memory
        block = slice(start, start + BLOCK)
        bad = ~np.isfinite(values[block]).all(axis=1) & present[block]
        row = start + int(bad.argmax())
        require(not bad.any(), f"{name} features must be finite, row {row} too", values[row])
