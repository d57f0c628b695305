"""Frozen encoders: item texts and pictures → features, cached by content."""

from urecjpq.encoding.cards import EncoderCard, list_encoders, load_encoder
from urecjpq.encoding.catalogue import encode_catalogue, encode_items
from urecjpq.encoding.colour import encode_pictures
from urecjpq.encoding.contents import Encoded, encode_contents
from urecjpq.encoding.tfidf import encode_texts
from urecjpq.encoding.work import Work

__all__ = [
    "Encoded",
    "EncoderCard",
    "Work",
    "encode_catalogue",
    "encode_contents",
    "encode_items",
    "encode_pictures",
    "encode_texts",
    "list_encoders",
    "load_encoder",
]
