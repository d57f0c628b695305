import pytest

from urecjpq.errors import InputError
from urecjpq.experiment import describe
from urecjpq.table_config import TABLES
from urecjpq.testing import tiny_catalogue
from urecjpq.variations import vary, with_values


@pytest.fixture(scope="module")
def config():
    table = TABLES["jpq-kmeans"].model_copy(update={"embedding_dim": 8, "code_length": 4})
    return describe(
        tiny_catalogue(), name="jpq", seed=3, backbone={"name": "lightgcn"}, tables=table
    )


def test_every_combination_once_and_in_order(config):
    fields = {"tables.code_length": (2, 4), "tables.codebook_size": (8, 16), "seed": (0, 1)}
    found = vary(config, fields, "{name}-m{code_length}-b{codebook_size}")
    made = [(c.name, c.seed, c.tables.code_length, c.tables.codebook_size) for c in found]
    expected = [(f"jpq-m{m}-b{b}", s, m, b) for m in (2, 4) for b in (8, 16) for s in (0, 1)]
    assert made == expected
    assert vary(config, {}) == [config]
    assert with_values(config, {"seed": 5}) == config.model_copy(update={"seed": 5})


def test_refusals_name_the_field(config):
    with pytest.raises(InputError, match=r"fields: tables.code_length: .*; got 0"):
        vary(config, {"tables.code_length": (0,)})
    with pytest.raises(InputError, match="multiple of the code length 3; got 8"):
        vary(config, {"tables.code_length": (3,)})
    with pytest.raises(InputError, match="fields: tables.colour: Extra inputs are not permitted"):
        vary(config, {"tables.colour": ("red",)})
    with pytest.raises(InputError, match="fields must be those of a configuration: a.b; got 'a'"):
        vary(config, {"a.b": (1,)})
    with pytest.raises(InputError, match="name must tell configurations of one seed apart; got"):
        vary(config, {"tables.codebook_size": (8, 16)})
