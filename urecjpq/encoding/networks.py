"""The libraries whose networks encode item by item, and which weights a card means."""

from dataclasses import replace

from urecjpq.encoding import open_clip, transformers
from urecjpq.encoding.cards import EncoderCard
from urecjpq.encoding.encoder import Adapter
from urecjpq.encoding.weights import Weights, find_weights
from urecjpq.errors import require

# A library and what it encodes → how it does it.
NETWORKS: dict[tuple[str, str], Adapter] = {
    ("open_clip", "image"): open_clip.IMAGE,
    ("open_clip", "text"): open_clip.TEXT,
    ("transformers", "image"): transformers.IMAGE,
    ("transformers", "text"): transformers.TEXT,
}


def is_network(card: EncoderCard) -> bool:
    """Return whether a card's encoder works item by item, with weights."""
    return (card.library, card.modality) in NETWORKS


def adapter_of(card: EncoderCard) -> Adapter:
    """Return what does the work of a card.

    Raises:
        InputError: Its library has no network for its modality.
    """
    known = ", ".join(f"{library} ({modality})" for library, modality in NETWORKS)
    got = f"{card.library} ({card.modality})"
    rule = f"library of {card.name} must be one of {known}"
    require(is_network(card), rule, got, "Or pass an encoder of your own.")
    return NETWORKS[card.library, card.modality]


def weights_of(card: EncoderCard, adapter: Adapter) -> Weights:
    """Return the weights of a card, random ones with the sha256 of their values.

    Raises:
        InputError: They cannot be had, or the library has no random ones.
    """
    weights = find_weights(card, adapter.weights)
    if weights.seed is None:
        return weights
    require(
        adapter.hash_random is not None,
        f"weights of {card.name} must be a repository or a folder",
        weights.source,
        f"{card.library} takes the architecture from there; random weights are for open_clip.",
    )
    values = adapter.hash_random(card, weights.seed) if adapter.hash_random else ""
    return replace(weights, sha256=values)
