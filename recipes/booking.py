"""Booking.com trips: SASRec and gSASRec with full, svd and kmeans item tables.

    python recipes/booking.py --from FOLDER

FOLDER holds the publisher's files, fetched by hand; without it they are fetched: 140,746 trips,
34,742 cities, as RecJPQ filters them. The last one of each history is the test, the last but one
of 1,024 the validation. Trips come back to cities, so nothing is left out of a ranking. Numbers to
reach and time: not measured, since the publisher's files were not at hand. Finished runs are kept:
the same command goes on where it was stopped.
"""

from urecjpq import prepare
from urecjpq.config import TrainingConfig
from urecjpq.data import partition_leave_one_out
from urecjpq.recipe import compare_tables, read_options
from urecjpq.sequential import GSASRecConfig, SASRecConfig
from urecjpq.sequential.losses import BCE
from urecjpq.table_config import TABLES

CARD = "booking"
VALIDATION_USERS = 1024
BACKBONES = (SASRecConfig(loss=BCE()), GSASRecConfig())
USED = {name: TABLES[name] for name in ("full", "jpq-svd", "jpq-kmeans")}
TRAINING = TrainingConfig(learning_rate=1e-3, batch_size=128, patience=10)


def main() -> None:
    """Train what is not there yet, print the table and write the report."""
    given = read_options("Booking.com trips, full and quantised", CARD, "runs/booking", raw=True)
    prepared = prepare(given.card, given.data or given.out / "catalogue", given.raw)
    catalogue = partition_leave_one_out(prepared, VALIDATION_USERS)
    compare_tables(catalogue, BACKBONES, USED, TRAINING, given, "booking", exclude="none")


if __name__ == "__main__":
    main()
