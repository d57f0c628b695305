"""One run from start to end: codes, tables, backbone, training, evaluation, run folder."""

import importlib.metadata
from pathlib import Path

from urecjpq.build import build_backbone, build_tables
from urecjpq.config import CatalogueReference, RunConfig, parse_config
from urecjpq.data.catalogue import Catalogue
from urecjpq.errors import require
from urecjpq.files import write_text
from urecjpq.manifest import FILES, MANIFEST, VECTORS, is_finished, verify_run
from urecjpq.saving import round_centroids, save_run
from urecjpq.training import train

CHECKPOINT = "checkpoint.safetensors"


def describe(catalogue: Catalogue, **choices) -> RunConfig:
    """Return the configuration of a run on ``catalogue``; ``choices`` are fields of `RunConfig`."""
    everything = CatalogueReference(
        name=catalogue.name, digest=catalogue.digest, content=catalogue.content_digests
    )
    version = importlib.metadata.version("urecjpq")
    config = RunConfig(version=version, catalogue=everything, **choices)
    content = _used_content(catalogue, config)
    used = everything.model_copy(update={"content": content})
    return config.model_copy(update={"catalogue": used})


def _used_content(catalogue: Catalogue, config: RunConfig) -> dict[str, str]:
    """Return the digests of what the backbone looks at: other content cannot change its run."""
    uses = config.backbone.MODEL.USES
    content = catalogue.content_digests
    return {name: digest for name, digest in content.items() if name.split(".")[0] in uses}


def run_experiment(
    catalogue: Catalogue,
    config: RunConfig,
    folder: Path | str,
    *,
    resume: bool = False,
    show_progress: bool = True,
) -> Path:
    """Train and evaluate one model and leave a finished run folder.

    Args:
        catalogue: The data that ``config`` names.
        config: See `describe`.
        folder: Where the run goes; made if absent.
        resume: Go on with an unfinished run of the same configuration, and leave a finished one
            as it is.
        show_progress: Draw a progress bar where the output is a terminal.

    Returns:
        The folder.

    Raises:
        InputError: The folder holds a run already and ``resume`` is False, or holds a run of
            another configuration; or the configuration does not fit the data.
    """
    folder = Path(folder)
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
    if _is_done(folder, config, resume):
        return folder
    interactions = catalogue.matrix("train")
    tables = build_tables(config.tables, interactions, config.seed)
    backbone = build_backbone(
        config.backbone, tables, interactions, catalogue.neighbours, catalogue.features, config.seed
    )
    # Only now that everything fits: a refused configuration leaves no folder with a run in it.
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "config.json", config.to_json())
    progress = train(
        backbone,
        catalogue,
        config.training,
        config.seed,
        folder / CHECKPOINT,
        config.digest,
        show_progress=show_progress,
    )
    round_centroids(backbone, config.tables)
    save_run(folder, config, catalogue, backbone, progress)
    remove_leftovers(folder)
    return folder


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
        parse_config(path.read_text(), str(path)) == config,
        f"{path} must equal the configuration to resume",
        "another configuration or other data",
        "Choose another folder.",
    )
    if is_finished(folder):
        verify_run(folder)
    return is_finished(folder)
