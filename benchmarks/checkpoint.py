"""What a checkpoint of full and of quantised tables weighs, byte by byte, and how well it ranks.

    python recipes/baby.py --data FOLDER
    python benchmarks/checkpoint.py --data FOLDER --full runs/baby/lightgcn-full-0 \\
        --quantised runs/baby/lightgcn-jpq-kmeans-0 > benchmarks/results/checkpoint.jsonl

The checkpoint is `model.safetensors` + `codes.safetensors`; ids, graph and manifest do not count.
Half precision is what `tables.centroid_dtype = "float16"` stores: centroids rounded after training,
the metrics are those of the rounded values.
"""

import argparse
import json
import tempfile
from pathlib import Path

from urecjpq import load_catalogue, load_run
from urecjpq.data import Catalogue
from urecjpq.evaluation import evaluate
from urecjpq.graphs import Backbone
from urecjpq.manifest import CHECKPOINT_FILES
from urecjpq.runs import Run
from urecjpq.saving import round_centroids, write_values


def weigh(run: Run, catalogue: Catalogue, centroid_dtype: str) -> dict:
    """Return the bytes and the test metrics of a run whose centroids are stored as given."""
    tables = run.config.tables.model_copy(update={"centroid_dtype": centroid_dtype})
    backbone = run.backbone
    if not isinstance(backbone, Backbone):
        raise TypeError("run must be of a model that is rebuilt from its folder")
    round_centroids(backbone, tables)
    with tempfile.TemporaryDirectory() as folder:
        write_values(Path(folder), backbone, tables)
        sizes = {name: (Path(folder) / name).stat().st_size for name in CHECKPOINT_FILES}
    metrics = evaluate(*backbone.vectors(), catalogue, "test", names=("recall", "ndcg")).metrics
    values = {f"{side} codes": 0 for side in ("user", "item")}
    for side, table in (("user", backbone.user_table), ("item", backbone.item_table)):
        values[f"{side} codes"] = sum(b.nbytes for b in table.buffers())
        bytes_each = 2 if centroid_dtype == "float16" else 4
        values[f"{side} trained values"] = sum(p.numel() for p in table.parameters()) * bytes_each
    return {
        "run": run.config.name,
        "centroids": centroid_dtype,
        "checkpoint_bytes": sum(sizes.values()),
        "files": sizes,
        "values": values,
        "headers": sum(sizes.values()) - sum(values.values()),
        "test": {name: round(metrics[name], 4) for name in ("recall@20", "ndcg@20")},
    }


def main(data: Path, full: Path, quantised: Path) -> None:
    """Print one JSON line per stored form, with its share of the full checkpoint."""
    catalogue = load_catalogue("amazon-baby", data)
    lines = [weigh(load_run(full), catalogue, "float32")]
    lines += [weigh(load_run(quantised), catalogue, kind) for kind in ("float32", "float16")]
    for line in lines:
        share = 100 * line["checkpoint_bytes"] / lines[0]["checkpoint_bytes"]
        print(json.dumps({**line, "percent_of_full": round(share, 2)}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Bytes of full and quantised checkpoints")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--full", type=Path, required=True)
    parser.add_argument("--quantised", type=Path, required=True)
    arguments = parser.parse_args()
    main(arguments.data, arguments.full, arguments.quantised)
