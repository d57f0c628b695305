"""Graph backbones: each takes its user and item tables as arguments."""

from urecjpq.graphs.freedom import FREEDOM as FREEDOM
from urecjpq.graphs.lightgcn import LightGCN as LightGCN
