"""Size and sha256 of every file of a folder, written last: without it a run is unfinished."""

from collections.abc import Iterable
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


def write_run_manifest(folder: Path) -> None:
    """Write size and sha256 of every file of the run."""
    write_manifest(folder, [*FILES, VECTORS] if (folder / VECTORS).exists() else FILES)


def write_manifest(folder: Path, names: Iterable[str]) -> None:
    """Write size and sha256 of the named files of a folder."""
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
    verify_manifest(folder, set(FILES), {VECTORS}, REMEDY)


def verify_manifest(folder: Path, needed: set[str], optional: set[str], remedy: str) -> set[str]:
    """Hold every file of a folder to its manifest, and return their names.

    Args:
        folder: It has a manifest.
        needed: Files that the manifest must list.
        optional: Files that it may list too.
        remedy: What to do about files that differ.

    Raises:
        InputError: The manifest is no manifest, lists other files, or a file is missing, cut or
            changed.
    """
    path = folder / MANIFEST
    manifest = read_json(path)
    try:
        schema, files = manifest["schema"], manifest["files"]
        kinds = {name: (type(file["bytes"]), type(file["sha256"])) for name, file in files.items()}
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"{path} must list files, bytes and sha256; got other keys.") from None
    require(schema == SCHEMA, f"{path} must have the schema {SCHEMA}", repr(schema))
    listed, names = ", ".join(sorted(needed)), set(kinds)
    require(needed <= names <= needed | optional, f"{path} must list {listed}", sorted(names))
    typed = set(kinds.values()) == {(int, str)}
    require(typed, f"{path} must give bytes as a number and sha256 as text", "other types")
    for name, file in files.items():
        verify_file(folder / name, file["bytes"], file["sha256"], remedy)
    return names
