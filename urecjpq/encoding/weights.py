"""Where the weights of an encoder lie, and which they are: a folder or a seed, and a sha256."""

import fnmatch
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from urecjpq.encoding.cards import EncoderCard
from urecjpq.errors import InputError, require
from urecjpq.files import sha256_of

RANDOM = re.compile(r"random:(\d{1,18})")
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
SETTINGS = ("*.json", "*.txt", "*.model")
"""Files of configurations and vocabularies. Nothing else is fetched or read beside the weights."""


@dataclass(frozen=True)
class Weights:
    """Weights that are on this machine.

    Args:
        source: Where they come from, for people: repository and revision, folder, or seed.
        folder: Their files; None for random ones.
        seed: Of random ones.
        sha256: Of the weights' file; of all, one after the other, if there are several; "" until
            random ones are drawn.
        settings_sha256: Of configuration and vocabulary.
    """

    source: str
    folder: Path | None = None
    seed: int | None = None
    sha256: str = ""
    settings_sha256: str = ""


def find_weights(card: EncoderCard, pattern: str) -> Weights:
    """Return where the weights of a card lie, after fetching them if they are on the hub.

    Only safetensors are taken: other formats can run code when they are loaded.

    Args:
        card: Names the weights.
        pattern: Of the weights' files, e.g. ``model*.safetensors``.

    Raises:
        InputError: The weights are neither here nor reachable, or the folder holds none.
    """
    named = card.weights or ""
    if match := RANDOM.fullmatch(named):
        return Weights(named, seed=int(match[1]))
    local = Path(named).is_absolute()
    if not local:
        rule = f"weights of {card.name} must be a repository, a folder or random:SEED"
        require(REPOSITORY.fullmatch(named) is not None, rule, repr(named))
    folder = Path(named) if local else _fetch(card, pattern)
    source = named if local else f"{named}@{card.revision}"
    files = sorted(folder.glob(pattern)) if folder.is_dir() else []
    require(
        bool(files),
        f"weights of {card.name} must be a folder with {pattern}",
        named if folder.is_dir() else f"{named}, no such folder",
        "Take the files as they lie in the encoder's repository.",
    )
    return Weights(source, folder, None, _sha256(files), _settings_sha256(folder))


def _fetch(card: EncoderCard, pattern: str) -> Path:
    from urecjpq.encoding.libraries import import_library, quiet

    hub = import_library("huggingface_hub", "text", card.name)
    patterns = [pattern, *SETTINGS]
    try:
        with quiet():  # it tells of each of its attempts
            found = hub.snapshot_download(
                str(card.weights), revision=card.revision, allow_patterns=patterns
            )
    # The hub's own errors and those of its connection share no narrower ancestor.
    except Exception as error:
        raise InputError(
            f"weights of {card.name} must be on this machine or reachable; got no "
            f"{card.weights} ({type(error).__name__}) on the Hugging Face hub. Fetch "
            f"{', '.join(patterns)} of revision {card.revision} elsewhere, and name the folder: "
            f"--weights FOLDER, or --encoder {card.name}=FOLDER."
        ) from None
    return Path(found)


def _settings_sha256(folder: Path) -> str:
    files = [
        path
        for path in sorted(folder.iterdir())
        if any(fnmatch.fnmatch(path.name, pattern) for pattern in SETTINGS)
    ]
    lines = [f"{path.name} {sha256_of(path)}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _sha256(files: list[Path]) -> str:
    if len(files) == 1:
        return sha256_of(files[0])
    return hashlib.sha256("".join(map(sha256_of, files)).encode()).hexdigest()
