"""Frozen encoders: item titles and pictures → features, cached by content."""

from urecjpq.encoding.cards import EncoderCard, list_encoders, load_encoder
from urecjpq.encoding.catalogue import encode_catalogue
from urecjpq.encoding.colour import encode_pictures
from urecjpq.encoding.tfidf import encode_texts

__all__ = [
    "EncoderCard",
    "encode_catalogue",
    "encode_pictures",
    "encode_texts",
    "list_encoders",
    "load_encoder",
]
