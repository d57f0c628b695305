"""Quantised user and item embeddings for recommender systems.

Names are imported when first used, so that ``import urecjpq`` (and the command line's ``--help``)
loads neither torch nor scikit-learn.
"""

import importlib
from typing import TYPE_CHECKING

from urecjpq.strict_sums import ask_for_strict_sums

if TYPE_CHECKING:
    from urecjpq.assignment import Assignment as Assignment
    from urecjpq.assignment import assign_by_bpr as assign_by_bpr
    from urecjpq.assignment import assign_by_kmeans as assign_by_kmeans
    from urecjpq.assignment import assign_by_quotient_remainder as assign_by_quotient_remainder
    from urecjpq.assignment import assign_by_random as assign_by_random
    from urecjpq.assignment import assign_by_svd as assign_by_svd
    from urecjpq.compare import compare_runs as compare_runs
    from urecjpq.data import load_catalogue as load_catalogue
    from urecjpq.data import prepare as prepare
    from urecjpq.errors import InputError as InputError
    from urecjpq.experiment import describe as describe
    from urecjpq.experiment import run_experiment as run_experiment
    from urecjpq.graphs import FREEDOM as FREEDOM
    from urecjpq.graphs import LightGCN as LightGCN
    from urecjpq.grid import run_grid as run_grid
    from urecjpq.index import TopKIndex as TopKIndex
    from urecjpq.quantisation import quantise as quantise
    from urecjpq.quantisation import table_memory as table_memory
    from urecjpq.quantised_runs import quantise_run as quantise_run
    from urecjpq.quotient_remainder import QuotientRemainderEmbedding as QuotientRemainderEmbedding
    from urecjpq.report import write_report as write_report
    from urecjpq.runs import load_run as load_run
    from urecjpq.tables import JPQEmbedding as JPQEmbedding

ask_for_strict_sums()  # before torch multiplies anything

_MODULES = {
    "assignment": (
        "Assignment",
        "assign_by_bpr",
        "assign_by_kmeans",
        "assign_by_quotient_remainder",
        "assign_by_random",
        "assign_by_svd",
    ),
    "compare": ("compare_runs",),
    "data": ("load_catalogue", "prepare"),
    "errors": ("InputError",),
    "experiment": ("describe", "run_experiment"),
    "graphs": ("FREEDOM", "LightGCN"),
    "grid": ("run_grid",),
    "index": ("TopKIndex",),
    "quantisation": ("quantise", "table_memory"),
    "quantised_runs": ("quantise_run",),
    "quotient_remainder": ("QuotientRemainderEmbedding",),
    "report": ("write_report",),
    "runs": ("load_run",),
    "tables": ("JPQEmbedding",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'urecjpq' has no attribute {name!r}")
    return getattr(importlib.import_module(f"urecjpq.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
