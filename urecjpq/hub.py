"""Table folders on the Hugging Face hub."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from urecjpq.errors import InputError, require
from urecjpq.table_folder import CARD, NO_PICKLES, READ

REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def fetch(source: Path | str, **options: Any) -> Path:
    """Return the folder of a table: the given one, or a repository's files in the hub's cache.

    Args:
        source: A folder, or ``owner/name``.
        options: Of ``huggingface_hub.snapshot_download``.

    Raises:
        InputError: Neither, or the repository is not to be had.
    """
    if str(source) and Path(source).is_dir():
        return Path(source)
    named = isinstance(source, str) and REPOSITORY.fullmatch(source) is not None
    require(named, "source must be a folder or a repository owner/name", repr(str(source)))
    import huggingface_hub

    options |= {"tqdm_class": _Bar}
    try:
        # By name: pickles in the repository do not even reach this machine.
        found = huggingface_hub.snapshot_download(str(source), allow_patterns=[*READ], **options)
    except Exception as error:
        hint = f"Or fetch {', '.join(READ)} elsewhere, and pass their folder."
        raise _refusal(f"{source} must be a folder, or reachable on the hub", error, hint) from None
    holds = Path(found).is_dir()
    require(holds, f"{source} must hold a table", f"none of {', '.join(READ)}", NO_PICKLES)
    return Path(found)


class _Bar(tqdm):
    """A bar that is silent when the output is not a terminal."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **(options | {"disable": options.get("disable") or None}))


def push(
    save: Callable[[Path], Path],
    repo_id: str,
    *,
    commit_message: str,
    private: bool | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
) -> str:
    """Upload what ``save`` writes into a folder as one commit, and return its address."""
    fits = REPOSITORY.fullmatch(repo_id) is not None
    require(fits, "repo_id must be owner/name", repr(repo_id))
    import huggingface_hub
    from huggingface_hub import CommitOperationAdd

    with tempfile.TemporaryDirectory() as temporary:
        folder = save(Path(temporary) / repo_id.partition("/")[2])
        api = huggingface_hub.HfApi(token=token)
        try:
            api.create_repo(repo_id, private=private, exist_ok=True)
            edited = api.file_exists(repo_id, CARD, revision=revision)
            names = READ if edited else (*READ, CARD)
            files = [folder / name for name in names if (folder / name).exists()]
            additions = [CommitOperationAdd(file.name, file) for file in files]
            commit = api.create_commit(
                repo_id, additions, commit_message=commit_message, revision=revision
            )
        except Exception as error:
            rule = f"{repo_id} must be a repository that you may write to"
            hint = "save_pretrained(FOLDER) needs no connection."
            raise _refusal(rule, error, hint) from None
    return str(commit.commit_url)


def _refusal(rule: str, error: Exception, hint: str) -> InputError:
    # The hub's own errors and those of its connection share no narrower ancestor.
    first = next(iter(str(error).strip().splitlines()), "")
    return InputError(f"{rule}; got {type(error).__name__}: {first.rstrip('.')}. {hint}")
