"""Size and sha256 of every file of a run folder, written last: without it a run is unfinished."""

from pathlib import Path

from urecjpq.config import SCHEMA
from urecjpq.errors import InputError, require
from urecjpq.files import read_json, sha256_of, verify_file, write_json

MANIFEST = "manifest.json"
REMEDY = "Copy the run again, or train it again."
CHECKPOINT_FILES = ("model.safetensors", "codes.safetensors")
FILES = (
    "config.json",
    *CHECKPOINT_FILES,
    "graph.safetensors",
    "ids.tsv.gz",
    "metrics.json",
    "user_metrics.safetensors",
    "history.jsonl",
    "README.md",
)
"""Every file of a finished run but its manifest; others in the folder are not ours."""
VECTORS = "vectors.safetensors"
"""Final vectors, in the runs of models whose vectors need features and of compressed tables."""


def is_finished(folder: Path) -> bool:
    """Return whether ``folder`` holds a finished run: the manifest is written last."""
    return (folder / MANIFEST).is_file()


def write_manifest(folder: Path) -> None:
    """Write size and sha256 of every file of the run."""
    names = [*FILES, VECTORS] if (folder / VECTORS).exists() else FILES
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)}
        for name in sorted(names)
    }
    write_json(folder / MANIFEST, {"schema": SCHEMA, "files": files})


def verify_run(folder: Path) -> None:
    """Refuse a run folder that is unfinished or in which a byte differs from the manifest.

    Raises:
        InputError: No manifest, or a file that is missing, cut or changed.
    """
    folder = Path(folder)
    require(folder.is_dir(), f"{folder} must be a run folder", "no such folder")
    require(
        is_finished(folder),
        f"{folder} must be a finished run",
        f"no {MANIFEST}",
        "Finish it with `urecjpq train … --resume`.",
    )
    for name, expected in _read_manifest(folder / MANIFEST).items():
        verify_file(folder / name, expected["bytes"], expected["sha256"], REMEDY)


def _read_manifest(path: Path) -> dict[str, dict]:
    manifest = read_json(path)
    try:
        schema, files = manifest["schema"], manifest["files"]
        kinds = {name: (type(file["bytes"]), type(file["sha256"])) for name, file in files.items()}
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"{path} must list files, bytes and sha256; got other keys.") from None
    require(schema == SCHEMA, f"{path} must have the schema {SCHEMA}", repr(schema))
    names = ", ".join(sorted(kinds))
    require(
        set(kinds) - {VECTORS} == set(FILES), f"{path} must list {', '.join(sorted(FILES))}", names
    )
    typed = set(kinds.values()) == {(int, str)}
    require(typed, f"{path} must give bytes as a number and sha256 as text", "other types")
    return files
