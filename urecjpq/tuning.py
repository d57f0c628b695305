"""Hyper-parameters by validation alone: the same few trials for every model and kind of table."""

from collections.abc import Sequence
from pathlib import Path

from urecjpq.config import RunConfig
from urecjpq.data.catalogue import Catalogue
from urecjpq.errors import require
from urecjpq.files import read_json
from urecjpq.grid import run_grid
from urecjpq.manifest import verify_run
from urecjpq.variations import vary


def run_tuned(
    catalogue: Catalogue,
    trials: Sequence[Sequence[RunConfig]],
    seeds: Sequence[int],
    folder: Path | str,
    workers: int = 2,
) -> list[Path]:
    """Run every trial with the first seed, and the best of each group with the others too.

    Args:
        catalogue: The data of all runs.
        trials: Groups of configurations that differ in hyper-parameters, one of which is chosen;
            groups of equal length are an equal budget. Names tell all of them apart.
        seeds: The first is that of the trials.
        folder: For the runs; finished ones are left as they are.
        workers: Processes, as in `run_grid`.

    Returns:
        The folders of the chosen configurations, all seeds, group by group.

    Raises:
        InputError: No seeds, or groups of different lengths.
    """
    require(len(seeds) > 0, "seeds must not be empty", "none")
    lengths = {len(group) for group in trials}
    require(len(lengths) == 1, "every group must have the same number of trials", sorted(lengths))
    first = [[_with_seed(config, seeds[0]) for config in group] for group in trials]
    run_grid(catalogue, [config for group in first for config in group], folder, workers)
    chosen = [best_trial(group, Path(folder)) for group in first]
    finals = [_with_seed(config, seed) for config in chosen for seed in seeds]
    return run_grid(catalogue, finals, folder, workers)


def best_trial(trials: Sequence[RunConfig], folder: Path) -> RunConfig:
    """Return the trial with the highest validation metric; of equals the first."""
    scores = [validation_score(folder, config) for config in trials]
    return trials[max(range(len(trials)), key=scores.__getitem__)]


def learning_rates(config: RunConfig, rates: Sequence[float]) -> list[RunConfig]:
    """Return a configuration at several learning rates, which its names then end in."""
    return vary(config, {"training.learning_rate": rates}, "{name}-{learning_rate:g}")


def _with_seed(config: RunConfig, seed: int) -> RunConfig:
    return config.model_copy(update={"seed": seed})


def validation_score(folder: Path, config: RunConfig) -> float:
    """Return the validation metric that ends training, of the finished run in ``folder``."""
    run = folder / f"{config.name}-{config.seed}"
    verify_run(run)
    return read_json(run / "metrics.json")["valid"][config.backbone.MODEL.STOP_METRIC]
