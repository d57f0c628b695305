"""What training tells others while it runs: TensorBoard, MLflow, Weights & Biases, if asked to.

``history.jsonl`` in the run folder is always written, epoch by epoch; these come on top. Each is
told every epoch from the first, also when a run is resumed, and the test metrics at the end.
"""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from urecjpq.config import RunConfig
from urecjpq.errors import InputError, require


class Logger(ABC):
    """One tracker of experiments, told numbers under flat names such as ``valid/recall_at_20``."""

    def __init__(self, folder: Path, config: RunConfig) -> None:
        self.folder = folder
        self.config = config
        self.run_name = f"{config.name}-{config.seed}"

    @abstractmethod
    def log(self, values: Mapping[str, float], step: int) -> None:
        """Take numbers of an epoch; of the whole run at step 0."""

    @abstractmethod
    def close(self) -> None:
        """Write what is left."""


class TensorBoard(Logger):
    """Event files in ``<run>/tensorboard``; see them with ``tensorboard --logdir``."""

    def __init__(self, folder: Path, config: RunConfig) -> None:
        super().__init__(folder, config)
        events = folder / "tensorboard"
        shutil.rmtree(events, ignore_errors=True)  # all of it is told again
        self.writer = import_module("torch.utils.tensorboard").SummaryWriter(str(events))
        self.writer.add_text("config", f"```json\n{config.to_json()}```")

    def log(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()


class MLflow(Logger):
    """A run in the experiment named after the data, where ``MLFLOW_TRACKING_URI`` points."""

    def __init__(self, folder: Path, config: RunConfig) -> None:
        super().__init__(folder, config)
        mlflow = import_module("mlflow")
        self.client = mlflow.MlflowClient()
        found = self.client.get_experiment_by_name(config.catalogue.name)
        experiment = found.experiment_id if found else None
        experiment = experiment or self.client.create_experiment(config.catalogue.name)
        tags = {"urecjpq.digest": config.digest}
        run = self.client.create_run(experiment, run_name=self.run_name, tags=tags)
        self.run_id = run.info.run_id
        for name, value in flat(config.model_dump(by_alias=True), ".").items():
            self.client.log_param(self.run_id, name, value)

    def log(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self.client.log_metric(self.run_id, name, value, step=step)

    def close(self) -> None:
        self.client.set_terminated(self.run_id)


class WeightsAndBiases(Logger):
    """A run in the project ``urecjpq``; a resumed run goes on under its id.

    ``WANDB_MODE=offline`` keeps it in ``<run>/wandb``.
    """

    def __init__(self, folder: Path, config: RunConfig) -> None:
        super().__init__(folder, config)
        self.run = import_module("wandb").init(
            project="urecjpq",
            name=self.run_name,
            id=config.digest[:16],
            resume="allow",
            config=config.model_dump(by_alias=True),
            dir=str(folder),
        )

    def log(self, values: Mapping[str, float], step: int) -> None:
        if step:
            self.run.log(dict(values), step=step)
        else:
            self.run.summary.update(dict(values))

    def close(self) -> None:
        self.run.finish()


LOGGERS: dict[str, tuple[str, type[Logger]]] = {
    "tensorboard": ("tensorboard", TensorBoard),
    "mlflow": ("mlflow", MLflow),
    "wandb": ("wandb", WeightsAndBiases),
}
"""By the name that ``--log`` takes, which is that of the extra too: package and adapter."""


def require_loggers(names: Sequence[str]) -> None:
    """Refuse a name that is no logger, and one whose package is not installed.

    Raises:
        InputError: With the command that installs it.
    """
    for name in names:
        require(name in LOGGERS, f"log must be one of {', '.join(LOGGERS)}", repr(name))
        package, _ = LOGGERS[name]
        if find_spec(package) is None:
            raise InputError(
                f'{package} is needed for --log {name}; pip install "urecjpq[{name}]".'
            )


@contextmanager
def open_loggers(
    names: Sequence[str], folder: Path, config: RunConfig
) -> Iterator[Sequence[Logger]]:
    """Give the loggers that ``names`` asks for, and close them in the end, whatever happens."""
    require_loggers(names)
    with ExitStack() as stack:
        loggers = []
        for name in names:
            loggers.append(LOGGERS[name][1](folder, config))
            stack.callback(loggers[-1].close)
        yield loggers


def flat(values: Mapping[str, Any], separator: str = "/") -> dict[str, Any]:
    """Return nested values under joined names; ``@``, which MLflow refuses, becomes ``_at_``."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        plain = name.replace("@", "_at_")
        if isinstance(value, Mapping):
            inner = flat(value, separator)
            found |= {f"{plain}{separator}{key}": each for key, each in inner.items()}
        else:
            found[plain] = value
    return found
