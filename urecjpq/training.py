"""One training loop for all backbones: early stopping, exact resume, the same bits every time."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from urecjpq.averaging import averaged, copied, holding, past_share
from urecjpq.checkpoint import Progress, load_checkpoint, save_checkpoint
from urecjpq.config import TrainingConfig
from urecjpq.data.catalogue import Catalogue
from urecjpq.evaluation import evaluate
from urecjpq.memory import peak_memory, reset_peak
from urecjpq.recommender import Batches, Recommender


def train(
    backbone: Recommender,
    catalogue: Catalogue,
    config: TrainingConfig,
    seed: int,
    checkpoint: Path | None = None,
    run_digest: str = "",
    save_every: float = 10.0,
    show_progress: bool = True,
    on_epoch: Callable[[dict], None] | None = None,
    exclude: str = "train",
) -> Progress:
    """Train until the validation metric stops rising, and leave the best values in ``backbone``.

    Randomness is a function of seed and epoch alone, so a run that is killed and continued from
    its ``checkpoint`` ends with the bits of one that was not.

    Args:
        backbone: Any model; its ``STOP_METRIC`` says when to stop.
        catalogue: Partitioned interactions; valid must not be empty.
        config: Learning rate and its warm-up, batch size, epochs, patience, averaging.
        seed: Of batches, negatives, dropped edges and all else that is random.
        checkpoint: Where to keep the state between epochs; continued from if it exists.
        run_digest: Identifies the run; a checkpoint of another run is refused.
        save_every: Seconds between two checkpoints, at least; 0 saves after every epoch.
        show_progress: Draw a progress bar where the output is a terminal.
        on_epoch: Told the record of every epoch, those before a resumed one first.
        exclude: What is not ranked in validation: ``train`` or ``none``.

    Raises:
        InputError: No validation items, or a checkpoint that is damaged or of another run.
        FloatingPointError: The loss is no longer finite.
    """
    optimizer = torch.optim.Adam(
        backbone.parameters(),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
    )
    progress = Progress(backbone.STOP_METRIC)
    if checkpoint is not None and checkpoint.exists():
        progress = load_checkpoint(checkpoint, backbone, optimizer, run_digest)
    sampler = backbone.batches(catalogue, config.batch_size, seed)
    tell = on_epoch or (lambda record: None)
    for record in progress.history:
        tell(record)
    last_save = time.monotonic()
    with deterministic(), _progress_bar(config, progress, show_progress) as bar:
        while progress.epoch < config.max_epochs and not _stalled(progress, config):
            tell(_run_epoch(backbone, optimizer, sampler, catalogue, config, progress, exclude))
            _show(bar, progress)
            if checkpoint is not None and time.monotonic() - last_save >= save_every:
                save_checkpoint(checkpoint, backbone, optimizer, progress, run_digest)
                last_save = time.monotonic()
    if checkpoint is not None:
        save_checkpoint(checkpoint, backbone, optimizer, progress, run_digest)
    backbone.load_state_dict(progress.best_values)
    return progress


def _run_epoch(
    backbone: Recommender,
    optimizer: torch.optim.Optimizer,
    sampler: Batches,
    catalogue: Catalogue,
    config: TrainingConfig,
    progress: Progress,
    exclude: str,
) -> dict:
    epoch = progress.epoch + 1
    reset_peak()
    started = time.perf_counter()
    rates = warmup_rates(config, epoch, len(sampler))
    loss = train_epoch(backbone, optimizer, sampler, epoch, sampler.seed, rates)
    trained = time.perf_counter()
    if config.averaging:
        share = past_share(config.averaging, epoch)
        progress.average = averaged(progress.average, backbone, share)
    backbone.eval()
    with holding(backbone, progress.average):
        valid = _validate(backbone, catalogue, exclude)
        seconds = time.perf_counter() - started
        record = {
            "epoch": epoch,
            "loss": loss,
            "valid": valid,
            "train_seconds": round(trained - started, 3),
            "seconds": round(seconds, 3),
            **peak_memory(),
        }
        _take(progress, record, backbone)
    return record


@torch.no_grad()
def _validate(backbone: Recommender, catalogue: Catalogue, exclude: str) -> dict[str, float]:
    users, items = backbone.vectors_for(catalogue, "valid")
    ks = sorted({20, int(backbone.STOP_METRIC.partition("@")[2])})
    names = ("recall", "ndcg")
    return evaluate(users, items, catalogue, "valid", ks, exclude, names=names).metrics


def warmup_rates(config: TrainingConfig, epoch: int, num_steps: int) -> list[float] | None:
    """Return the learning rate of each step of an epoch; None where it no longer changes.

    It rises in equal steps from 0 (left out) to ``config.learning_rate``, which the last step of
    the last warm-up epoch has.
    """
    if epoch > config.warmup_epochs:
        return None
    last = config.warmup_epochs * num_steps
    first = (epoch - 1) * num_steps + 1
    return [config.learning_rate * (step / last) for step in range(first, first + num_steps)]


def train_epoch(
    backbone: Recommender,
    optimizer: torch.optim.Optimizer,
    sampler: Batches,
    epoch: int,
    seed: int,
    rates: Sequence[float] | None = None,
) -> float:
    """Take one step per batch of ``epoch`` and return the mean loss.

    Args:
        backbone: Changed in place.
        optimizer: Over its parameters.
        sampler: Batches by epoch.
        epoch: From 1.
        seed: Of all that is random beside the batches.
        rates: Learning rate of each step; None leaves the optimizer's own.

    Raises:
        FloatingPointError: The mean loss is not finite.
    """
    backbone.train()
    total = torch.zeros((), dtype=torch.float64)
    with torch.random.fork_rng(devices=[]):
        # The third numbers keep these streams apart from the sampler's.
        torch.manual_seed(int(np.random.SeedSequence([seed, epoch, 2]).generate_state(1)[0]))
        backbone.start_epoch(np.random.default_rng([seed, epoch, 1]))
        for step, batch in enumerate(sampler.epoch(epoch)):
            if rates is not None:
                _set_rate(optimizer, rates[step])
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


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _take(progress: Progress, record: dict, backbone: Recommender) -> None:
    improved = record["valid"][progress.metric] > progress.best
    progress.history.append(record)
    if improved:
        progress.best_epoch = progress.epoch
        progress.best_values = copied(backbone)


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
        valid=f"{last['valid'][progress.metric]:.4f}",
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
