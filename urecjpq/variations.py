"""One configuration at several values of its fields: what grids and trials are made of."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from pydantic import ValidationError

from urecjpq.config import RunConfig, refuse_field
from urecjpq.errors import require


def vary(
    config: RunConfig, fields: Mapping[str, Sequence[Any]], name: str = "{name}"
) -> list[RunConfig]:
    """Return a configuration for every combination of values, the last field changing first.

        vary(config, {"tables.code_length": (4, 8), "seed": (0, 1)}, "{name}-m{code_length}")

    Args:
        config: What all others are made from.
        fields: Values by field, dots between the levels.
        name: Of each configuration: `str.format` with the old name and the fields' last parts.
            Seeds need no place in it.

    Raises:
        InputError: No such field, a value that it refuses, or names that do not tell apart.
    """
    varied = [
        with_values(config, dict(zip(fields, values, strict=True)), name)
        for values in product(*fields.values())
    ]
    keys = {(one.name, one.seed) for one in varied}
    rule = "name must tell configurations of one seed apart"
    require(len(keys) == len(varied), rule, repr(name), f"Use {', '.join(fields)} in it.")
    return varied


def with_values(config: RunConfig, values: Mapping[str, Any], name: str = "{name}") -> RunConfig:
    """Return a configuration with other values, checked like a new one; see `vary`."""
    record = config.model_dump(by_alias=True)
    for field, value in values.items():
        *parents, last = field.split(".")
        place: dict[str, Any] = record
        for parent in parents:
            rule = f"fields must be those of a configuration: {field}"
            require(isinstance(place.get(parent), dict), rule, repr(parent))
            place = place[parent]
        place[last] = value
    last_parts = {field.rpartition(".")[2]: value for field, value in values.items()}
    record["name"] = name.format(**{"name": config.name, **last_parts})
    try:
        return RunConfig.model_validate(record)
    except ValidationError as error:
        raise refuse_field(error, "fields") from None
