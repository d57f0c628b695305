"""Do codes find out which items are alike? Every strategy on data whose similarities are known.

    python recipes/codes_recovered.py --out benchmarks/results

4,000 users choose among 2,000 items of 100 clusters; m = 8, b = 64. For each strategy and number
of actions per user: the share of sub-ids that an item has in common with its ten true neighbours,
and what two random items have in common. Prints the table; writes codes-recovered.jsonl and
codes-recovered.png. Nothing is trained but the codes: half a minute on one thread.
"""

import argparse
import json
from pathlib import Path

from urecjpq import assignment
from urecjpq.assignment.recovery import draw_known_items, shared_by_chance, shared_sub_ids
from urecjpq.environment import environment

NUM_USERS, NUM_ITEMS, NUM_CLUSTERS, NUM_NEIGHBOURS = 4000, 2000, 100, 10
ACTIONS = (5, 20, 80)
CODE_LENGTH, CODEBOOK_SIZE, EMBEDDING_DIM = 8, 64, 64
SIZES = (CODE_LENGTH, CODEBOOK_SIZE)


def codes_of(interactions, seed: int) -> dict:
    """Return the item codes of every strategy."""
    rank = {"embedding_dim": EMBEDDING_DIM, "seed": seed}
    return {
        "random": assignment.assign_by_random(interactions.shape[1], *SIZES, seed=seed).codes,
        "quotient_remainder": assignment.assign_by_quotient_remainder(interactions.shape[1]).codes,
        "svd": assignment.assign_by_svd(interactions, *SIZES, seed=seed).codes,
        "bpr": assignment.assign_by_bpr(interactions, *SIZES, seed=seed).codes,
        "kmeans": assignment.assign_by_kmeans(interactions, *SIZES, **rank).codes,
    }


def measure(num_users: int, num_items: int, num_clusters: int, seeds: list[int]) -> list[dict]:
    """Return one line per seed, number of actions and strategy."""
    lines = []
    for seed in seeds:
        known = draw_known_items(
            num_users, num_items, max(ACTIONS), num_clusters=num_clusters, seed=seed
        )
        neighbours = known.neighbours(NUM_NEIGHBOURS)
        for actions in ACTIONS:
            for strategy, codes in codes_of(known.interactions(actions), seed).items():
                line = {"strategy": strategy, "actions_per_user": actions, "seed": seed}
                line |= {"shared": round(shared_sub_ids(codes, neighbours), 5)}
                lines.append(line | {"by_chance": round(shared_by_chance(codes), 5)})
    return lines


def mean(lines: list[dict], field: str, strategy: str, actions: int) -> float:
    """Return the mean of a field over the seeds."""
    chosen = (strategy, actions)
    found = [x[field] for x in lines if (x["strategy"], x["actions_per_user"]) == chosen]
    return sum(found) / len(found)


def table(lines: list[dict]) -> str:
    """Return percentages, a strategy per row, and what chance gives."""
    rows = ["strategy           " + "".join(f"{n:>4} actions" for n in ACTIONS) + "   by chance"]
    for strategy in dict.fromkeys(line["strategy"] for line in lines):
        shares = "".join(f"{100 * mean(lines, 'shared', strategy, n):11.2f}%" for n in ACTIONS)
        chance = 100 * mean(lines, "by_chance", strategy, ACTIONS[-1])
        rows.append(f"{strategy:<19}{shares}{chance:11.2f}%")
    return "\n".join(rows)


def plot(lines: list[dict], path: Path) -> None:
    """Draw the share of common sub-ids over the number of actions, a line per strategy."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for strategy in dict.fromkeys(line["strategy"] for line in lines):
        shares = [100 * mean(lines, "shared", strategy, n) for n in ACTIONS]
        axes.plot(ACTIONS, shares, marker="o", label=strategy.replace("_", " "))
    axes.set_xscale("log")
    axes.set_xticks(ACTIONS, [str(n) for n in ACTIONS])
    axes.minorticks_off()
    axes.set_xlabel("actions per user")
    axes.set_ylabel(f"sub-ids shared with {NUM_NEIGHBOURS} true neighbours, %")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def main(arguments: argparse.Namespace) -> None:
    """Measure, print the table, and write lines and plot."""
    lines = measure(arguments.users, arguments.items, arguments.clusters, arguments.seeds)
    sizes = {"users": arguments.users, "items": arguments.items, "clusters": arguments.clusters}
    sizes |= {"neighbours": NUM_NEIGHBOURS, "m": CODE_LENGTH, "b": CODEBOOK_SIZE}
    arguments.out.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line | sizes | environment()) + "\n" for line in lines)
    (arguments.out / "codes-recovered.jsonl").write_text(text)
    plot(lines, arguments.out / "codes-recovered.png")
    print(table(lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How many true neighbours share sub-ids")
    parser.add_argument("--users", type=int, default=NUM_USERS)
    parser.add_argument("--items", type=int, default=NUM_ITEMS)
    parser.add_argument("--clusters", type=int, default=NUM_CLUSTERS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/codes-recovered"))
    main(parser.parse_args())
