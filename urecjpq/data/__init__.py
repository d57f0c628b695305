"""Catalogues: users, items and interactions, read from files, filtered and partitioned."""

from urecjpq.data.cache import cache_folder
from urecjpq.data.cards import Card, list_cards, load_card
from urecjpq.data.catalogue import PARTITIONS, Catalogue, Features, Interactions, Neighbours
from urecjpq.data.features import read_features, read_neighbours
from urecjpq.data.filters import drop_untrained_users, filter_k_core, select_rows
from urecjpq.data.frames import catalogue_from_frame, read_table
from urecjpq.data.items import with_items
from urecjpq.data.loading import load_catalogue
from urecjpq.data.mmrec import read_mmrec, write_mmrec
from urecjpq.data.partitions import (
    partition_by_time,
    partition_leave_one_out,
    partition_random_per_user,
    require_trainable,
)
from urecjpq.data.preparation import prepare
from urecjpq.data.recbole import read_recbole

__all__ = [
    "PARTITIONS",
    "Card",
    "Catalogue",
    "Features",
    "Interactions",
    "Neighbours",
    "cache_folder",
    "catalogue_from_frame",
    "drop_untrained_users",
    "filter_k_core",
    "list_cards",
    "load_card",
    "load_catalogue",
    "partition_by_time",
    "partition_leave_one_out",
    "partition_random_per_user",
    "prepare",
    "read_features",
    "read_mmrec",
    "read_neighbours",
    "read_recbole",
    "read_table",
    "require_trainable",
    "select_rows",
    "with_items",
    "write_mmrec",
]
