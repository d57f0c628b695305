"""One training loop for all backbones: early stopping, exact resume, the same bits every time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from urecjpq.checkpoint import STOP_METRIC, Progress, load_checkpoint, save_checkpoint
from urecjpq.config import TrainingConfig
from urecjpq.data.catalogue import Catalogue
from urecjpq.evaluation import evaluate
from urecjpq.graphs import Backbone
from urecjpq.sampling import TripleSampler


def train(
    backbone: Backbone,
    catalogue: Catalogue,
    config: TrainingConfig,
    seed: int,
    checkpoint: Path | None = None,
    run_digest: str = "",
    save_every: float = 10.0,
    show_progress: bool = True,
) -> Progress:
    """Train until validation Recall@20 stops rising, and leave the best values in ``backbone``.

    Randomness is a function of seed and epoch alone, so a run that is killed and continued from
    its ``checkpoint`` ends with the bits of one that was not.

    Args:
        backbone: A model with ``start_epoch``, ``loss`` and ``vectors``.
        catalogue: Partitioned interactions; valid must not be empty.
        config: Learning rate, batch size, epochs, patience.
        seed: Of batches, negatives, dropped edges and all else that is random.
        checkpoint: Where to keep the state between epochs; continued from if it exists.
        run_digest: Identifies the run; a checkpoint of another run is refused.
        save_every: Seconds between two checkpoints, at least; 0 saves after every epoch.
        show_progress: Draw a progress bar where the output is a terminal.

    Raises:
        InputError: No validation items, or a checkpoint that is damaged or of another run.
        FloatingPointError: The loss is no longer finite.
    """
    optimizer = torch.optim.Adam(backbone.parameters(), lr=config.learning_rate, fused=True)
    progress = Progress()
    if checkpoint is not None and checkpoint.exists():
        progress = load_checkpoint(checkpoint, backbone, optimizer, run_digest)
    sampler = TripleSampler(catalogue.matrix("train"), config.batch_size, seed)
    last_save = time.monotonic()
    with deterministic(), _progress_bar(config, progress, show_progress) as bar:
        while progress.epoch < config.max_epochs and not _stalled(progress, config):
            record = _run_epoch(backbone, optimizer, sampler, catalogue, progress.epoch + 1, seed)
            _take(progress, record, backbone)
            _show(bar, progress)
            if checkpoint is not None and time.monotonic() - last_save >= save_every:
                save_checkpoint(checkpoint, backbone, optimizer, progress, run_digest)
                last_save = time.monotonic()
    if checkpoint is not None:
        save_checkpoint(checkpoint, backbone, optimizer, progress, run_digest)
    backbone.load_state_dict(progress.best_values)
    return progress


def _run_epoch(
    backbone: Backbone,
    optimizer: torch.optim.Optimizer,
    sampler: TripleSampler,
    catalogue: Catalogue,
    epoch: int,
    seed: int,
) -> dict:
    started = time.perf_counter()
    loss = train_epoch(backbone, optimizer, sampler, epoch, seed)
    trained = time.perf_counter()
    backbone.eval()
    with torch.no_grad():
        users, items = backbone.vectors()
    valid = evaluate(users, items, catalogue, "valid", ks=(20,), names=("recall", "ndcg")).metrics
    done = time.perf_counter()
    return {
        "epoch": epoch,
        "loss": loss,
        "valid": valid,
        "train_seconds": round(trained - started, 3),
        "seconds": round(done - started, 3),
    }


def train_epoch(
    backbone: Backbone,
    optimizer: torch.optim.Optimizer,
    sampler: TripleSampler,
    epoch: int,
    seed: int,
) -> float:
    """Take one step per batch of ``epoch`` and return the mean loss.

    Raises:
        FloatingPointError: The mean loss is not finite.
    """
    backbone.train()
    total = torch.zeros((), dtype=torch.float64)
    with torch.random.fork_rng(devices=[]):
        # The third numbers keep these streams apart from the sampler's.
        torch.manual_seed(int(np.random.SeedSequence([seed, epoch, 2]).generate_state(1)[0]))
        backbone.start_epoch(np.random.default_rng([seed, epoch, 1]))
        for batch in sampler.epoch(epoch):
            optimizer.zero_grad(set_to_none=True)
            loss = backbone.loss(batch)
            loss.backward()
            optimizer.step()
            total += loss.detach()
    mean = float(total) / len(sampler)
    if not np.isfinite(mean):
        raise FloatingPointError(
            f"the loss of epoch {epoch} is {mean}; lower the learning rate and start again."
        )
    return mean


def _take(progress: Progress, record: dict, backbone: Backbone) -> None:
    improved = record["valid"][STOP_METRIC] > progress.best
    progress.history.append(record)
    if improved:
        progress.best_epoch = progress.epoch
        progress.best_values = {k: v.clone() for k, v in backbone.state_dict().items()}


def _stalled(progress: Progress, config: TrainingConfig) -> bool:
    return progress.best_epoch > 0 and progress.epoch - progress.best_epoch >= config.patience


def _progress_bar(config: TrainingConfig, progress: Progress, show: bool) -> tqdm:
    # disable=None: silent when the output is not a terminal.
    return tqdm(
        total=config.max_epochs,
        initial=progress.epoch,
        unit="epoch",
        leave=False,
        disable=None if show else True,
    )


def _show(bar: tqdm, progress: Progress) -> None:
    last = progress.history[-1]
    bar.set_postfix(
        loss=f"{last['loss']:.4f}",
        valid=f"{last['valid'][STOP_METRIC]:.4f}",
        best=f"{progress.best:.4f}@{progress.best_epoch}",
        refresh=False,
    )
    bar.update()


@contextmanager
def deterministic() -> Iterator[None]:
    """Switch torch's deterministic algorithms on, and back to what they were afterwards."""
    # torch sets this flag through a property of the module, which type checkers cannot see.
    deterministic_settings: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = deterministic_settings.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    # Nothing here reads uninitialised memory; filling it with NaN would only cost time.
    deterministic_settings.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
        deterministic_settings.fill_uninitialized_memory = fill
