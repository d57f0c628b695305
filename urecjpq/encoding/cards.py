"""Encoder cards: a TOML file that says which frozen encoder makes which features."""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from urecjpq.errors import InputError, require

PACKAGE = Path(__file__).parents[1]
# Beside the package in a checkout, inside it in the wheel.
CARD_FOLDERS = (PACKAGE.parent / "encoders", PACKAGE / "cards" / "encoders")


class EncoderCard(BaseModel):
    """A frozen encoder, its origin and its settings; unknown keys are refused.

    Args:
        name: Name of the encoder, and of the card's file.
        title: What people call it.
        library: Package that does the work; it decides which adapter reads the card.
        modality: What is encoded, and the key of `Catalogue.features`. ``audio`` is for encoders
            of your own, see `urecjpq.encoding.encoder`.
        dimension: Width of the features, at least 1; ``scikit-learn`` may give fewer.
        licence: What may be done with the encoder.
        revision: Version of the weights, or of the code where there are none.
        model: Name of the architecture, where the library must be told.
        weights: Repository on the Hugging Face hub, or a folder with the same files (a path that
            begins with ``/`` or ``.``, the latter seen from the card), or ``random:SEED``.
        pooling: How the outputs of a network become one vector: their ``mean`` over tokens, or the
            ``projection`` that the network itself ends in.
        maximum_tokens: Longer texts are cut.
        normalised: Whether vectors are scaled to length 1.
        arguments: Passed to the adapter.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    title: str
    library: str
    modality: Literal["text", "image", "audio"]
    dimension: int = Field(ge=1)
    licence: str
    revision: str
    model: str | None = None
    weights: str | None = None
    pooling: Literal["mean", "projection"] | None = None
    maximum_tokens: int | None = Field(None, ge=2)
    normalised: bool = True
    arguments: dict[str, bool | int | float | str] = {}


def list_encoders() -> list[EncoderCard]:
    """Return the cards that come with the package, by name."""
    return [_read_card(path) for path in _known_cards().values()]


def load_encoder(name_or_path: str | Path, weights: str | Path | None = None) -> EncoderCard:
    """Return a card by the name of a known one, or by the path of a ``.toml`` file.

    Args:
        name_or_path: E.g. ``tfidf`` or ``my/encoder.toml``; ``minilm=FOLDER`` names weights too.
        weights: A folder or ``random:SEED`` instead of the card's own weights.

    Raises:
        InputError: No such card (the message lists those there are), or the card breaks a rule.
    """
    name, _, named = str(name_or_path).partition("=")
    card = _find_card(name)
    chosen = weights or named
    return card.model_copy(update={"weights": _place(chosen)}) if chosen else card


def _place(weights: str | Path) -> str:
    return str(weights) if str(weights).startswith("random:") else str(Path(weights).absolute())


def _find_card(name_or_path: str) -> EncoderCard:
    path = Path(name_or_path)
    if path.suffix != ".toml":
        known = _known_cards()
        require(
            name_or_path in known,
            f"encoder must be one of {', '.join(known)}, or the path of a .toml card",
            repr(name_or_path),
        )
        path = known[name_or_path]
    require(path.is_file(), "encoder must be a card that exists", path)
    return _read_card(path)


def _known_cards() -> dict[str, Path]:
    paths = next((found for folder in CARD_FOLDERS if (found := sorted(folder.glob("*.toml")))), [])
    return {path.stem: path for path in paths}


def _read_card(path: Path) -> EncoderCard:
    try:
        card = EncoderCard(**tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} must be TOML; got {error}.") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InputError(f"{path} must be an encoder card; got {wrong}.") from None
    beside = card.weights is not None and card.weights.startswith(".")
    if beside:
        return card.model_copy(update={"weights": str(path.absolute().parent / str(card.weights))})
    return card
