"""Files that are either whole or not there, and whose bytes can be checked."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from urecjpq.errors import InputError, require


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; on success it replaces ``path``, else it is removed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        os.chmod(temporary, mode)  # safetensors' own files cannot be read by another user
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all; NaN is refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Return the JSON value in ``path``.

    Raises:
        InputError: The file is missing or is not JSON.
    """
    require(path.is_file(), f"{path} must be a file", "nothing there")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path} must hold JSON; got {error}.") from None


def read_json_lines(path: Path) -> list[Any]:
    """Return the JSON value of every line of ``path``.

    Raises:
        InputError: The file is missing, or a line is not JSON.
    """
    require(path.is_file(), f"{path} must be a file", "nothing there")
    values = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            values.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise InputError(f"{path}, line {number}, must hold JSON; got {error}.") from None
    return values


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write tensors as safetensors, whole or not at all; equal tensors give equal bytes.

    A tensor under two names is written twice.
    """
    ordered: dict[str, Tensor] = {}
    held: set[int] = set()
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous()
        ordered[name] = tensor.clone() if tensor.data_ptr() in held else tensor
        held.add(tensor.data_ptr())
    with written_whole(path) as temporary:
        save_file(ordered, temporary, metadata)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a safetensors file.

    Raises:
        InputError: The file is missing, cut or not in this format.
    """
    require(path.is_file(), f"{path} must be a file", "nothing there")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except SafetensorError as error:
        raise InputError(f"{path} must be a whole safetensors file; got {error}.") from None


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_file(path: Path, num_bytes: int, sha256: str | None, remedy: str) -> None:
    """Refuse a file that is missing, cut or changed since its manifest was written.

    Args:
        path: The file.
        num_bytes: Its size.
        sha256: Of its bytes; None compares the size alone.
        remedy: What to do about it.

    Raises:
        InputError: It is not what the manifest says.
    """
    require(path.is_file(), f"{path} must be there", "no such file", remedy)
    size = path.stat().st_size
    require(size == num_bytes, f"{path} must have {num_bytes:,} bytes", size, remedy)
    if sha256 is not None:
        found = sha256_of(path)
        rule = f"{path} must have the sha256 {sha256[:12]}… of the manifest"
        require(found == sha256, rule, f"{found[:12]}…", remedy)


def digest_of(tensors: Mapping[str, Tensor], *texts: str) -> str:
    """Return the sha256 of texts and of tensors' names and bytes: safetensors has no checksum."""
    sha = hashlib.sha256()
    for text in texts:
        sha.update(text.encode() + b"\0")
    for name in sorted(tensors):
        sha.update(name.encode() + b"\0")
        sha.update(
            tensors[name].detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
        )
    return sha.hexdigest()
