"""Several processes that share the work: those that ``torchrun`` starts, else this one alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch

# A process that is done waits for the slowest; torchrun ends all if one of them fails.
PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class Processes:
    """This process among those that work together.

    Args:
        rank: Which one it is, from 0.
        count: How many there are.
        local_rank: Which one it is on this machine: its GPU.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    def share(self, length: int) -> range:
        """Return this process's part of ``length`` things: every ``count``-th of them."""
        return range(self.rank, length, self.count)

    def device(self) -> str:
        """Return this process's own GPU, or the processor where there is none."""
        return f"cuda:{self.local_rank}" if torch.cuda.is_available() else "cpu"

    def wait(self) -> None:
        """Return when all processes are here."""
        if self.count > 1:
            torch.distributed.barrier()

    def agree(self, flag: bool) -> bool:
        """Return whether all processes say so."""
        if self.count == 1:
            return flag
        votes = torch.tensor(int(flag))
        torch.distributed.all_reduce(votes, torch.distributed.ReduceOp.MIN)
        return bool(votes)

    def gather(self, part: np.ndarray, length: int) -> np.ndarray:
        """Return all ``length`` things from the shares of all processes.

        Args:
            part: This process's share, of a fixed-size type. Shape ``(length of the share,)``.
            length: Of the whole.
        """
        if self.count == 1:
            return part
        longest = -(-length // self.count)
        padded = np.zeros(longest, dtype=part.dtype)
        padded[: len(part)] = part
        sent = torch.from_numpy(padded.view(np.uint8))
        parts = [torch.empty_like(sent) for _ in range(self.count)]
        torch.distributed.all_gather(parts, sent)
        whole = np.zeros(length, dtype=part.dtype)
        for rank, received in enumerate(parts):
            places = range(rank, length, self.count)
            whole[places] = received.numpy().view(part.dtype)[: len(places)]
        return whole


@contextmanager
def joined() -> Iterator[Processes]:
    """Give this process its place among those that ``torchrun`` started."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    torch.distributed.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield Processes(int(os.environ["RANK"]), count, int(os.environ.get("LOCAL_RANK", "0")))
    finally:
        torch.distributed.destroy_process_group()
