"""Strategies that give every user or item its code."""

from urecjpq.assignment.assignment import Assignment as Assignment
from urecjpq.assignment.factors import Factors as Factors
from urecjpq.assignment.factors import normalised_factors as normalised_factors
from urecjpq.assignment.kmeans import assign_by_kmeans as assign_by_kmeans
from urecjpq.assignment.kmeans import assign_factors as assign_factors
from urecjpq.assignment.random import assign_by_random as assign_by_random
from urecjpq.assignment.svd import assign_by_svd as assign_by_svd

STRATEGIES = {
    "random": assign_by_random,
    "svd": assign_by_svd,
    "kmeans": assign_by_kmeans,
}
