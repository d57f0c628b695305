"""One run from start to end: codes, tables, backbone, training, evaluation, run folder."""

import importlib.metadata
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from urecjpq.build import build_model
from urecjpq.config import CatalogueReference, RunConfig, read_config, refuse_field
from urecjpq.data.catalogue import Catalogue
from urecjpq.errors import require
from urecjpq.files import read_json, write_text
from urecjpq.loggers import Logger, flat, open_loggers, require_loggers
from urecjpq.manifest import FILES, MANIFEST, VECTORS, is_finished, verify_run
from urecjpq.one_writer import one_writer
from urecjpq.recommender import Recommender
from urecjpq.saving import round_centroids, save_run, valid_exclude
from urecjpq.training import train

CHECKPOINT = "checkpoint.safetensors"


def describe(catalogue: Catalogue, **choices) -> RunConfig:
    """Return the configuration of a run on ``catalogue``; ``choices`` are fields of `RunConfig`.

    Raises:
        InputError: A field that is missing, unknown or out of range.
    """
    everything = CatalogueReference(
        name=catalogue.name, digest=catalogue.digest, content=catalogue.content_digests
    )
    version = importlib.metadata.version("urecjpq")
    try:
        config = RunConfig(version=version, catalogue=everything, **choices)
    except ValidationError as error:
        raise refuse_field(error, "the run's settings") from None
    content = _used_content(catalogue, config)
    used = everything.model_copy(update={"content": content})
    return _with_defaults(config).model_copy(update={"catalogue": used})


def _with_defaults(config: RunConfig) -> RunConfig:
    """Return the configuration with the model's own defaults where nothing else was said."""
    model, training = config.backbone.MODEL, config.training
    defaults: dict[str, float] = {"batch_size": model.BATCH_SIZE}
    if config.tables.start == "factors":
        defaults["learning_rate"] = model.FACTORS_RATE
    unsaid = {k: v for k, v in defaults.items() if k not in training.model_fields_set}
    changes: dict[str, object] = {"training": training.model_copy(update=unsaid)}
    if config.tables.uses_factors:
        said = config.tables.model_fields_set
        unsaid = {k: v for k, v in model.FACTORS.items() if k not in said}
        changes["tables"] = config.tables.model_copy(update=unsaid)
    if "exclude" not in config.model_fields_set:
        changes["exclude"] = model.EXCLUDE
    return config.model_copy(update=changes)


def _used_content(catalogue: Catalogue, config: RunConfig) -> dict[str, str]:
    """Return the digests of what the run looks at: other content cannot change it."""
    uses = {*config.backbone.MODEL.USES, *(["neighbours"] if config.tables.spread else [])}
    content = catalogue.content_digests
    return {name: digest for name, digest in content.items() if name.split(".")[0] in uses}


def run_experiment(
    catalogue: Catalogue,
    config: RunConfig,
    folder: Path | str,
    *,
    resume: bool = False,
    show_progress: bool = True,
    log: Sequence[str] = (),
    build: Callable[[RunConfig, Catalogue], Recommender] = build_model,
) -> Path:
    """Train and evaluate one model and leave a finished run folder.

    Args:
        catalogue: The data that ``config`` names.
        config: See `describe`.
        folder: Where the run goes; made if absent.
        resume: Go on with an unfinished run of the same configuration, and leave a finished one
            as it is.
        show_progress: Draw a progress bar where the output is a terminal.
        log: Names of `urecjpq.loggers.LOGGERS` to tell every epoch, beside ``history.jsonl``.
        build: Makes the model that is trained; by default one that knows nothing yet.

    Returns:
        The folder.

    Raises:
        InputError: The folder holds a run already and ``resume`` is False, holds a run of another
            configuration, or another process works on it; or the configuration does not fit the
            data.
    """
    folder = Path(folder)
    require_loggers(log)
    require_catalogue(catalogue, config)
    if _is_done(folder, config, resume):
        return folder
    backbone = build(config, catalogue)
    # Only now that everything fits: a refused configuration leaves no folder with a run in it.
    folder.mkdir(parents=True, exist_ok=True)
    with one_writer(folder):
        if _is_done(folder, config, resume):  # the last one may have ended since
            return folder
        write_text(folder / "config.json", config.to_json())
        with open_loggers(log, folder, config) as loggers:
            _train_and_save(folder, config, catalogue, backbone, loggers, show_progress)
        remove_leftovers(folder)
    return folder


def _train_and_save(
    folder: Path,
    config: RunConfig,
    catalogue: Catalogue,
    backbone: Recommender,
    loggers: Sequence[Logger],
    show_progress: bool,
) -> None:
    progress = train(
        backbone,
        catalogue,
        config.training,
        config.seed,
        folder / CHECKPOINT,
        config.digest,
        show_progress=show_progress,
        on_epoch=_teller(folder / "history.jsonl", loggers),
        exclude=valid_exclude(config.exclude),
    )
    round_centroids(backbone, config.tables)
    save_run(folder, config, catalogue, backbone, progress)
    results = read_json(folder / "metrics.json")
    for logger in loggers:
        logger.log(flat({key: results[key] for key in ("test", "sizes", "training")}), 0)


def _teller(path: Path, loggers: Sequence[Logger]) -> Callable[[dict], None]:
    """Return what adds an epoch's record to ``path``, written anew, and tells it to the loggers."""
    path.unlink(missing_ok=True)

    def tell(record: dict) -> None:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        values = {key: value for key, value in record.items() if key != "epoch"}
        for logger in loggers:
            logger.log(flat(values), record["epoch"])

    return tell


def require_catalogue(catalogue: Catalogue, config: RunConfig) -> None:
    """Refuse a catalogue whose data or content is not what ``config`` names."""
    require(
        config.catalogue.digest == catalogue.digest,
        "catalogue must be the one that the configuration names",
        f"{catalogue.name} {catalogue.digest[:12]}… "
        f"instead of {config.catalogue.name} {config.catalogue.digest[:12]}…",
        "Describe the run with this catalogue.",
    )
    content = _used_content(catalogue, config)
    changed = {name for name, _ in set(content.items()) ^ set(config.catalogue.content.items())}
    require(
        not changed,
        "catalogue must have the features and neighbours that the configuration names",
        f"other {', '.join(sorted(changed))}",
        "Describe the run with this catalogue.",
    )


def remove_leftovers(folder: Path) -> None:
    """Remove the checkpoint of a run, and the temporary files of processes that were killed."""
    (folder / CHECKPOINT).unlink(missing_ok=True)
    for name in (CHECKPOINT, MANIFEST, VECTORS, *FILES):
        for path in folder.glob(f".{name}.*.part"):
            path.unlink(missing_ok=True)


def _is_done(folder: Path, config: RunConfig, resume: bool) -> bool:
    path = folder / "config.json"
    if not path.exists():
        require(not is_finished(folder), f"{path} must be there", "a run without it")
        return False
    require(
        resume,
        f"folder must not hold a run yet: {folder}",
        "a finished run" if is_finished(folder) else "an unfinished run",
        "Pass --resume to go on with it, or choose another folder.",
    )
    require(
        read_config(folder) == config,
        f"{path} must equal the configuration to resume",
        "another configuration or other data",
        "Choose another folder.",
    )
    if is_finished(folder):
        verify_run(folder)
    return is_finished(folder)
