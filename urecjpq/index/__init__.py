"""Exact top-K over quantised tables and over final vectors, on CPUs."""

from urecjpq.index.filters import Allowed
from urecjpq.index.index import TopK, TopKIndex
from urecjpq.index.search import SearchStatistics

__all__ = ["Allowed", "SearchStatistics", "TopK", "TopKIndex"]
