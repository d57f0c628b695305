"""What lets a quantised table travel: to a folder, to the Hugging Face hub, and back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from torch import Tensor

from urecjpq.errors import require


class Pretrained:
    """The verbs of a table that can be saved, shared and loaded; no pickles are read or written.

    The verbs are those of ``huggingface_hub.PyTorchModelHubMixin``. It is not the base because it
    ignores missing values, and reads pickles where a repository has no safetensors.

    Attributes:
        raw_ids: Raw ids of the rows with codes, text, shape ``(num_rows,)``; None if not known.
    """

    raw_ids: np.ndarray | None = None

    def set_ids(self, ids: Sequence[str] | np.ndarray) -> None:
        """Give the rows the raw ids that travel with the table.

        Args:
            ids: One text for each row with a code, all different.

        Raises:
            InputError: Another number of ids, one twice, or one that is not text.
        """
        count = len(cast(Any, self).codes)
        listed = list(ids) if isinstance(ids, Sequence | np.ndarray) else ids
        is_list = isinstance(listed, list) and not isinstance(ids, str)
        require(is_list, "ids must be a list", type(ids).__name__)
        other = next((raw for raw in listed if not isinstance(raw, str)), None)
        require(other is None, "ids must be text", repr(other), "Write str(id).")
        require(len(listed) == count, f"ids must be {count:,}, one per row", len(listed))
        given = np.array([*listed, ""], dtype=object)[:-1]
        different = len(set(listed))
        require(different == count, "ids must all be different", f"{count - different} repeated")
        self.raw_ids = given

    def rows_of(self, ids: Sequence[str] | np.ndarray, unknown: int | None = None) -> Tensor:
        """Return the rows of raw ids: another model aligns its own items or users with them::

            theirs = table.weight[table.rows_of(my_item_ids)]

        Args:
            ids: Raw ids, in any order, some of them more than once.
            unknown: The row that ids without one get (that of a special token, or −1 to mask
                them); None refuses such ids.

        Returns:
            int64. Shape ``(len(ids),)``.

        Raises:
            InputError: The table came without ids, or an id is unknown.
        """
        import pandas as pd

        known, hint = self.raw_ids, "Save it after table.set_ids(ids)."
        require(known is not None, "the table must have raw ids", "none", hint)
        asked = pd.Index(np.array([*ids, ""], dtype=object)[:-1])
        rows = pd.Index(known).get_indexer(asked)
        missing = rows < 0
        if unknown is None:
            rule = f"ids must be among the {len(cast(Any, known)):,} of the table"
            names = ", ".join(map(repr, asked[missing][:3]))
            got = f"{missing.sum():,} others: {names}"
            require(not missing.any(), rule, got, "Pass unknown=ROW to give them a row.")
        else:
            rows = np.where(missing, unknown, rows)
        return torch.from_numpy(rows.astype(np.int64))

    def save_pretrained(self, folder: Path | str) -> Path:
        """Write the table (and its raw ids) as safetensors and JSON, see `urecjpq.table_folder`.

        Args:
            folder: Made if absent; a table in it is overwritten, its README.md is kept.

        Returns:
            The folder.

        Raises:
            InputError: A value is not finite, or the folder holds files of these names that are no
                table's.
        """
        from urecjpq.table_folder import save_table

        save_table(cast(Any, self), Path(folder))
        return Path(folder)

    @classmethod
    def from_pretrained(
        cls,
        source: Path | str,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: Path | str | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Return a saved table: the same bits, every file held to its sha256, no code run.

        Args:
            source: A folder, or a repository ``owner/name`` of the Hugging Face hub.
            revision: Branch, tag or commit of a repository.
            token: For private repositories; what ``hf auth login`` left if None.
            cache_dir: Where fetched files are kept; the hub's own cache if None.
            local_files_only: Look into the cache alone.

        Raises:
            InputError: Nothing there or not reachable, a file that is missing, cut or changed, or
                a table of another class.
        """
        from urecjpq.hub import fetch
        from urecjpq.table_folder import load_table

        options = {"revision": revision, "token": token, "cache_dir": cache_dir}
        folder = fetch(source, local_files_only=local_files_only, **options)
        table = load_table(folder)
        require(
            isinstance(table, cls), f"{folder} must hold a {cls.__name__}", type(table).__name__
        )
        return cast(Any, table)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
        commit_message: str = "Upload table",
    ) -> str:
        """Put the table (and its raw ids) into a repository of the Hugging Face hub, as one commit.

        Args:
            repo_id: ``owner/name``; made if absent. Its README.md is kept if it has one.
            private: Whether a new repository is private; the owner's default if None.
            revision: Branch, ``main`` if None.
            token: What ``hf auth login`` left if None.
            commit_message: Of the commit.

        Returns:
            The address of the commit.

        Raises:
            InputError: The hub cannot be reached or refuses.
        """
        from urecjpq.hub import push

        options = {"private": private, "revision": revision, "token": token}
        return push(self.save_pretrained, repo_id, commit_message=commit_message, **options)
