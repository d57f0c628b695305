"""Search for hyper-parameters on validation, by Optuna: equal budgets for all that is compared."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from urecjpq.config import RunConfig
from urecjpq.data.catalogue import Catalogue
from urecjpq.errors import InputError, require
from urecjpq.grid import run_grid
from urecjpq.tuning import run_tuned, validation_score
from urecjpq.variations import with_values

if TYPE_CHECKING:
    from optuna import Study, Trial

AT_ONCE = 4
"""Trials that are drawn before any of them is known; fixed, so that workers change no trial."""


class Range(NamedTuple):
    """Values between two ends, drawn evenly or evenly in the logarithm."""

    low: float
    high: float
    log: bool = True


Space = Mapping[str, Range | Sequence[Any]]


def run_search(
    catalogue: Catalogue,
    configs: Sequence[RunConfig],
    space: Space,
    num_trials: int,
    seeds: Sequence[int],
    folder: Path | str,
    workers: int = 2,
) -> list[Path]:
    """Try ``num_trials`` settings of each configuration and run the best with every seed.

    Each configuration (full tables, quantised ones, …) gets the same space, the same number of
    trials and a sampler with the same seed. Trials are drawn anew from the finished ones, so the
    same call goes on where it was stopped; a trial is the run ``<name>-t<number>-<first seed>``.

    Args:
        catalogue: The data of all runs.
        configs: Names tell them apart.
        space: By field, e.g. ``{"training.learning_rate": Range(1e-4, 1e-2)}``; a sequence is a
            choice.
        num_trials: Of each configuration, at least 1.
        seeds: The first is that of the trials.
        folder: For the runs; finished ones are left as they are.
        workers: Processes, as in `run_grid`.

    Returns:
        The folders of the best settings, all seeds, configuration by configuration.

    Raises:
        InputError: Optuna is missing, no seeds, no trials, or a value that a field refuses.

    Source: Akiba et al., Optuna, KDD 2019 (arXiv:1907.10902), its TPE sampler.
    """
    require(num_trials >= 1, "num_trials must be at least 1", num_trials)
    require(len(seeds) > 0, "seeds must not be empty", "none")
    folder = Path(folder)
    studies = [_study() for _ in configs]
    tried: list[list[RunConfig]] = [[] for _ in configs]
    for first in range(0, num_trials, AT_ONCE):
        asked = []
        for config, study, group in zip(configs, studies, tried, strict=True):
            for number in range(first, min(first + AT_ONCE, num_trials)):
                trial = study.ask()
                values = {field: _draw(trial, field, among) for field, among in space.items()}
                values["seed"] = seeds[0]
                group.append(with_values(config, values, f"{config.name}-t{number}"))
                asked.append((study, trial, group[-1]))
        run_grid(catalogue, [config for _, _, config in asked], folder, workers)
        for study, trial, config in asked:
            study.tell(trial, validation_score(folder, config))
    return run_tuned(catalogue, tried, seeds, folder, workers)


def _study() -> "Study":
    if find_spec("optuna") is None:
        raise InputError('optuna is needed for a search; pip install "urecjpq[tune]".')
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))


def _draw(trial: "Trial", field: str, among: Range | Sequence[Any]) -> Any:
    if isinstance(among, Range):
        return trial.suggest_float(field, among.low, among.high, log=among.log)
    return trial.suggest_categorical(field, list(among))
