"""Strategies that give every user or item its code."""

from urecjpq.assignment.assignment import Assignment as Assignment
from urecjpq.assignment.bpr import assign_by_bpr as assign_by_bpr
from urecjpq.assignment.factors import Factors as Factors
from urecjpq.assignment.factors import normalised_factors as normalised_factors
from urecjpq.assignment.kmeans import assign_by_kmeans as assign_by_kmeans
from urecjpq.assignment.kmeans import assign_factors as assign_factors
from urecjpq.assignment.kmeans import interaction_weights as interaction_weights
from urecjpq.assignment.quotient_remainder import (
    assign_by_quotient_remainder as assign_by_quotient_remainder,
)
from urecjpq.assignment.quotient_remainder import (
    quotient_remainder_size as quotient_remainder_size,
)
from urecjpq.assignment.random import assign_by_random as assign_by_random
from urecjpq.assignment.spread import spread_pairs as spread_pairs
from urecjpq.assignment.svd import assign_by_svd as assign_by_svd
from urecjpq.assignment.windows import nearby_pairs as nearby_pairs

STRATEGIES = {
    "random": assign_by_random,
    "quotient_remainder": assign_by_quotient_remainder,
    "svd": assign_by_svd,
    "bpr": assign_by_bpr,
    "kmeans": assign_by_kmeans,
}
"""Every strategy by the name it has in configurations and on the command line."""
