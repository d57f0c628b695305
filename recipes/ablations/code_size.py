"""Code length and codebook size: what a byte more per user and item buys.

    python recipes/ablations/code_size.py --data FOLDER

FOLDER holds the files of Amazon Baby. Ten runs of LightGCN, a minute or two each; finished ones are
kept. docs/ablations/code-size.md says what to expect.
"""

from urecjpq import describe, load_catalogue, run_grid
from urecjpq.config import TrainingConfig
from urecjpq.graphs import LightGCNConfig
from urecjpq.recipe import conclude, read_options
from urecjpq.table_config import TABLES
from urecjpq.variations import vary

CODE_LENGTHS = (4, 8, 16, 32)
CODEBOOK_SIZES = (64, 256)
BACKBONE = LightGCNConfig(num_layers=2, l2=1e-3)


def main(options) -> None:
    """Train what is not there yet and show it against full tables with the same start."""
    catalogue = load_catalogue(options.card, options.data)
    full, coded = (
        describe(
            catalogue,
            name=f"lightgcn-{table}",
            seed=0,
            backbone=BACKBONE,
            tables=TABLES[table],
            training=TrainingConfig(learning_rate=1e-3, max_epochs=options.epochs),
        )
        for table in ("full-factors", "jpq-kmeans")
    )
    sizes = {"tables.code_length": CODE_LENGTHS, "tables.codebook_size": CODEBOOK_SIZES}
    seeds = {"seed": options.seeds}
    grid = vary(coded, sizes | seeds, "{name}-m{code_length}-b{codebook_size}")
    folders = run_grid(catalogue, vary(full, seeds) + grid, options.out, options.workers)
    conclude(folders, options.out, "code-size", baseline="lightgcn-full-factors")


if __name__ == "__main__":
    main(read_options("Code length × codebook size", "amazon-baby", "runs/ablations/baby"))
