"""How trained centroids are stored: as floats, or as bytes with one scale per split."""

import torch
from torch import Tensor

SCALES = "_scales"
"""What the name of the scales ends in, after the name of the centroids."""


def packed(name: str, centroids: Tensor, dtype: str) -> dict[str, Tensor]:
    """Return the tensors that stand for centroids in a file, by name.

    Args:
        name: Of the centroids; int8 has their scales beside them.
        centroids: float32, shape ``(m, b, d/m)``.
        dtype: ``float32``, ``float16`` or ``int8``.

    With int8 a value is ``q · scale`` of its split, ``q`` in −127 … 127. A scale is the split's
    largest magnitude / 127, rounded up to 16 bits, so that 127 of it are exact in float32: packing
    what was unpacked gives the same bits.
    """
    if dtype != "int8":
        return {name: centroids.to(getattr(torch, dtype))}
    mantissa, exponent = torch.frexp(centroids.abs().amax(dim=(1, 2)) / 127)
    scales = torch.ldexp(torch.ceil(mantissa * 2**16), exponent - 16)
    scales = torch.where(scales > 0, scales, 1.0)
    values = (centroids / scales[:, None, None]).round().clamp(-127, 127).to(torch.int8)
    return {name: values, name + SCALES: scales}


def unpacked(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of a file with float32 centroids in the place of packed ones."""
    found = {name: value for name, value in tensors.items() if not name.endswith(SCALES)}
    for name in set(tensors) - set(found):
        of = name.removesuffix(SCALES)
        found[of] = found[of].float() * tensors[name][:, None, None]
    return {k: v.float() if v.dtype == torch.float16 else v for k, v in found.items()}
