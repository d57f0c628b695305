"""How encoding is done, apart from what is encoded."""

from dataclasses import dataclass

from urecjpq.errors import require

PRECISIONS = ("float32", "bfloat16")
OUTPUTS = ("float32", "float16")


@dataclass(frozen=True)
class Work:
    """Settings of a job; only ``precision`` and ``output`` touch the result.

    Args:
        device: Of torch; None for a GPU where there is one.
        precision: ``float32``, or ``bfloat16`` for the network's products: refused where the first
            batch is not close to float32.
        output: Type of the features' file, ``float32`` or ``float16``.
        batch_size: Rows per batch, at least 1.
        save_every: Seconds of work that a kill can cost.
    """

    device: str | None = None
    precision: str = "float32"
    output: str = "float32"
    batch_size: int = 32
    save_every: float = 10.0

    def __post_init__(self) -> None:
        for field, known in (("precision", PRECISIONS), ("output", OUTPUTS)):
            value = getattr(self, field)
            require(value in known, f"{field} must be one of {', '.join(known)}", repr(value))
        require(self.batch_size >= 1, "batch_size must be at least 1", self.batch_size)
