"""From a catalogue and the names of encoders to a catalogue with features."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path

from urecjpq.data.catalogue import Catalogue, Features
from urecjpq.encoding.cards import EncoderCard, load_encoder
from urecjpq.encoding.colour import encode_pictures
from urecjpq.encoding.contents import Encoded, encode_contents
from urecjpq.encoding.networks import NETWORKS, is_network
from urecjpq.encoding.store import features_folder, read_features, write_features
from urecjpq.encoding.tfidf import encode_texts
from urecjpq.encoding.work import Work
from urecjpq.errors import InputError, require

Content = Sequence[str] | Sequence[Path | None]


def _with_scikit_learn(card: EncoderCard, texts: Sequence[str]) -> Features:
    return _call(card, encode_texts, texts, dimension=card.dimension)


def _with_pillow(card: EncoderCard, paths: Sequence[Path | None]) -> Features:
    features = _call(card, encode_pictures, paths)
    width = features.values.shape[1]
    require(card.dimension == width, f"dimension of {card.name} must be {width}", card.dimension)
    return features


def _call(
    card: EncoderCard, encode: Callable[..., Features], content: Content, **settings: int
) -> Features:
    # Bound before the call, so that only the card is blamed for what is wrong with the card.
    try:
        bound = signature(encode).bind(content, **settings, **card.arguments)
    except TypeError as error:
        raise InputError(f"arguments of {card.name} must fit its library; got {error}.") from None
    return encode(*bound.args, **bound.kwargs)


# Libraries that need the whole collection or no weights, and what each encodes → the function that
# does it. Those that encode item by item are in `urecjpq.encoding.networks`.
ADAPTERS: dict[tuple[str, str], Callable[..., Features]] = {
    ("scikit-learn", "text"): _with_scikit_learn,
    ("pillow", "image"): _with_pillow,
}


def encode_catalogue(
    catalogue: Catalogue, encoder_names: Sequence[str | Path], work: Work | None = None
) -> Catalogue:
    """Return the catalogue with the features of frozen encoders, made once and then read.

    Features lie in the cache under the hash of card and content: a changed title, picture or
    setting makes new ones, the order of users or another data set's name does not.

    Args:
        catalogue: With texts or titles for a text encoder, with images for an image encoder.
        encoder_names: As for `load_encoder`, at most one per modality. Features that the catalogue
            has for that modality are replaced.
        work: How networks do it.

    Returns:
        The same catalogue; its features are memory-mapped and read-only.

    Raises:
        InputError: An encoder is unknown or has no adapter, two encode the same modality, the
            catalogue lacks what one of them reads, or weights cannot be had; for encoders without
            weights also, a picture is missing or damaged.
    """
    cards = [load_encoder(name) for name in encoder_names]
    modalities = [card.modality for card in cards]
    require(
        len(set(modalities)) == len(modalities),
        "encoders must be at most one per modality",
        [f"{card.name} ({card.modality})" for card in cards],
    )
    made = {card.modality: encode_items(catalogue, card, work).features for card in cards}
    return replace(catalogue, features=catalogue.features | made)


def encode_items(catalogue: Catalogue, card: EncoderCard, work: Work | None = None) -> Encoded:
    """Return what one encoder says of the items of a catalogue, see `encode_catalogue`."""
    if is_network(card):
        return encode_contents(card, _content(catalogue, card), list(catalogue.item_ids), work)
    began = time.monotonic()
    key = (card.library, card.modality)
    known = ", ".join(f"{library} ({modality})" for library, modality in (*ADAPTERS, *NETWORKS))
    require(key in ADAPTERS, f"library of {card.name} must be one of {known}", " for ".join(key))
    content = _content(catalogue, card)
    digest = content_digest(card, content)
    found = read_features(digest)
    features = found or write_features(digest, ADAPTERS[key](card, content))
    absent = int((~features.present).sum())
    return Encoded(
        features,
        features_folder(digest),
        {"nothing to encode": absent} if absent else {},
        0 if found else int(features.present.sum()),
        time.monotonic() - began,
    )


def _content(catalogue: Catalogue, card: EncoderCard) -> Content:
    texts = "titles" if catalogue.texts is None else "texts"
    field = {"text": texts, "image": "images"}[card.modality]
    content = getattr(catalogue, field)
    if card.modality == "text" and catalogue.texts is not None:
        content = list(catalogue.texts)
    require(
        content is not None,
        f"catalogue must have {field} for the encoder {card.name}",
        f"none in {catalogue.name}",
        "Name the items file and its columns in the data set card.",
    )
    return content


def content_digest(card: EncoderCard, content: Content) -> str:
    """Return the sha256 of a card and of all that its encoder will read, in item order."""
    sha = hashlib.sha256(json.dumps(card.model_dump(), sort_keys=True).encode())
    for piece in content:
        # Hashed one by one, so that "ab", "c" and "a", "bc" differ, and so do "" and nothing.
        sha.update(b"-" if piece is None else hashlib.sha256(_bytes(piece)).digest())
    return sha.hexdigest()


def _bytes(piece: str | Path) -> bytes:
    if isinstance(piece, str):
        return piece.encode()
    try:
        return piece.read_bytes()
    except OSError as error:
        raise InputError(f"picture must be a readable image; got {piece}: {error}.") from None
