"""MovieLens 1M with titles and posters, as a data set card with files beside it.

    python benchmarks/ml_1m.py --data ../shared/data/ml-1m --out FOLDER

FOLDER then holds ``ml-1m.toml``, the sequences in time order, titles, and the posters' folder.
"""

import argparse
import gzip
import zipfile
from pathlib import Path

import pandas as pd

CARD = """name = "ml-1m-posters"
title = "MovieLens 1M with posters, last film of each user as test"
reader = "table"
licence = "MovieLens 1M licence (GroupLens); posters belong to the studios: research use only"
citation = "Harper, Konstan: The MovieLens Datasets: History and Context. ACM TiiS 5(4), 2015."
source = "see SOURCE.txt and SOURCE-posters.txt beside the original files"

[files]
interactions = "sequences.csv"
items = "items.csv"

[columns]
user = "user"
item = "item"
timestamp = "place"
title = "title"
image = "image"

[partition]
method = "leave_one_out"

[expected]
users = 6040
items = 3416
interactions = 999611
"""


def write_ml_1m(data: Path, out: Path) -> Path:
    """Write the data set and return the path of its card."""
    with zipfile.ZipFile(data / "posters_short128.zip") as archive:
        archive.extractall(out / "posters")
    lines = (data / "sas_to_original_items.txt").read_text().splitlines()
    original = dict(line.split() for line in lines if line)
    movies = (data / "movies.dat").read_text(encoding="latin-1").splitlines()
    titles = {line.split("::")[0]: line.split("::")[1] for line in movies}
    with gzip.open(data / "ml-1m.txt.gz", "rt") as file:
        pairs = pd.read_csv(file, sep=" ", names=["user", "item"], dtype=str)
    pairs["item"] = pairs["item"].map(original)
    pairs["place"] = range(len(pairs))
    pairs.to_csv(out / "sequences.csv", index=False)
    posters = {path.stem: path for path in (out / "posters").rglob("*.jpg")}
    items = {
        "item_id": list(original.values()),
        "title": [titles[item] for item in original.values()],
        "image": [
            str(posters[item].relative_to(out)) if item in posters else ""
            for item in original.values()
        ],
    }
    pd.DataFrame(items).to_csv(out / "items.csv", index=False)
    (out / "ml-1m.toml").write_text(CARD)
    return out / "ml-1m.toml"


def main() -> None:
    """Write the data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the original files")
    parser.add_argument("--out", type=Path, required=True, help="folder to fill")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(write_ml_1m(arguments.data, arguments.out))


if __name__ == "__main__":
    main()
