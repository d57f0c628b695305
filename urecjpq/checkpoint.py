"""The state of training between two epochs, as one file that is whole or not there."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from urecjpq.errors import InputError, require
from urecjpq.files import digest_of, read_tensors, write_tensors
from urecjpq.recommender import Recommender


@dataclass
class Progress:
    """How far training has come.

    Args:
        metric: Validation metric that decides.
        history: One record per finished epoch: epoch (from 1), loss, valid metrics, seconds.
        best_epoch: Epoch with the best validation metric so far, 0 before the first.
        best_values: The backbone's ``state_dict`` after that epoch.
        average: Moving average of its values, empty where none is taken.
    """

    metric: str
    history: list[dict] = field(default_factory=list)
    best_epoch: int = 0
    best_values: dict[str, Tensor] = field(default_factory=dict)
    average: dict[str, Tensor] = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        return len(self.history)

    @property
    def best(self) -> float:
        return self.history[self.best_epoch - 1]["valid"][self.metric] if self.best_epoch else -1.0


def save_checkpoint(
    path: Path,
    backbone: Recommender,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    run_digest: str,
) -> None:
    """Write all that training needs to go on, as one safetensors file, whole or not at all."""
    tensors = {f"model.{k}": v for k, v in backbone.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in progress.best_values.items()}
    tensors |= {f"average.{k}": v for k, v in progress.average.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in state.items()}
    position = json.dumps({"history": progress.history, "best_epoch": progress.best_epoch})
    metadata = {
        "progress": position,
        "run": run_digest,
        "sha256": digest_of(tensors, position, run_digest),
    }
    write_tensors(path, tensors, metadata)


def load_checkpoint(
    path: Path, backbone: Recommender, optimizer: torch.optim.Optimizer, run_digest: str
) -> Progress:
    """Restore model and optimizer in place, and return how far training had come.

    Raises:
        InputError: The file is cut, a byte was flipped, or it belongs to another run.
    """
    tensors, metadata = read_tensors(path)
    remedy = f"Remove {path} to start again."
    texts = metadata.get("progress", ""), metadata.get("run", "")
    if metadata.get("sha256") != digest_of(tensors, *texts):
        raise InputError(f"{path} must match its own sha256; got other bytes. {remedy}")
    require(
        metadata["run"] == run_digest,
        f"{path} must belong to a run with the same configuration and data",
        f"run {metadata['run'][:12]!r}",
        remedy,
    )
    prefixes = ("model.", "best.", "average.", "optimizer.")
    groups = {prefix: _strip(tensors, prefix) for prefix in prefixes}
    backbone.load_state_dict(groups["model."])
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in groups["optimizer."].items():
        index, key = name.split(".")
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )
    position = json.loads(metadata["progress"])
    best, average = groups["best."], groups["average."]
    return Progress(backbone.STOP_METRIC, **position, best_values=best, average=average)


def _strip(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
