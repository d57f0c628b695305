"""Columns of a table that know where each of their values stands, and refuse the wrong ones."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from urecjpq.data.catalogue import PARTITIONS
from urecjpq.errors import InputError, require

# Above it float64 skips whole numbers; a time in seconds stays far below.
LARGEST_EXACT = 2**53
LARGEST_ROW = 2**31 - 1


@dataclass(frozen=True)
class Column:
    """One column; ``where(position)`` says where a value stands, as file and line for files."""

    name: str
    values: pd.Series
    where: Callable[[int], str]

    def refuse(self, bad: np.ndarray, rule: str, hint: str = "") -> None:
        """Raise an InputError about the first value that ``bad`` marks, if it marks any."""
        if bad.any():
            position = int(bad.argmax())
            value = self.values.iloc[position]
            got = repr(value) if isinstance(value, str) else value
            require(False, f"{self.where(position)}: {self.name} must {rule}", got, hint)

    def ids(self) -> tuple[np.ndarray, np.ndarray]:
        """Return a row for each value, and the raw ids in the order of those rows.

        Rows are numbered by first appearance: nothing is sorted, because text order would put
        ``"10"`` before ``"2"`` and no order of raw ids means anything.

        Returns:
            Rows, int32, shape ``(n,)``; raw ids as strings, dtype object.

        Raises:
            InputError: A value is missing, empty, neither text nor integer, or holds a tab or
                a line break.
        """
        self.refuse(self.values.isna().to_numpy(bool), "not be missing")
        rows, unique = pd.factorize(self.values)
        found = np.asarray(unique)
        kind = pd.api.types.infer_dtype(found, skipna=False)
        require(
            kind in ("string", "integer", "empty"),
            f"{self.name} must hold strings or integers",
            kind,
            "Convert it with frame.astype first.",
        )
        raw = found.astype(str).astype(object) if kind == "integer" else found.astype(object)
        text = pd.Series(raw, dtype=object).str
        self.refuse((raw == "")[rows], "not be empty")
        bad = text.contains(r"[\t\r\n]").to_numpy(bool)
        self.refuse(bad[rows], "hold no tabs and no line breaks")
        return rows.astype(np.int32), raw

    def row_numbers(self) -> np.ndarray:
        """Return the values as whole numbers from 0, int64; the text must be digits only."""
        rows, unique = pd.factorize(self.values)
        text = pd.Series(np.asarray(unique), dtype=object).astype(str)
        good = text.str.fullmatch("[0-9]{1,10}").to_numpy(bool)
        self.refuse(~good[rows], "be a whole number from 0")
        numbers = text.to_numpy(object).astype(np.int64)[rows]
        self.refuse(numbers > LARGEST_ROW, f"be at most {LARGEST_ROW}")
        return numbers

    def numbers(self) -> np.ndarray:
        """Return the values as finite float64."""
        rows, unique = pd.factorize(self.values)
        parsed = pd.to_numeric(pd.Series(np.asarray(unique)), errors="coerce")
        # Missing values have row -1 and meet the NaN at the end.
        numbers = np.append(np.asarray(parsed, dtype=np.float64), np.nan)[rows]
        self.refuse(~np.isfinite(numbers), "be a finite number")
        return numbers

    def seconds(self) -> np.ndarray:
        """Return the values as seconds since 1970, int64; dates are cut to whole seconds."""
        if pd.api.types.is_datetime64_any_dtype(self.values):
            self.refuse(self.values.isna().to_numpy(bool), "not be missing")
            utc = pd.to_datetime(self.values, utc=True).dt.tz_localize(None)
            return utc.to_numpy("datetime64[s]").astype(np.int64)
        numbers = self.numbers()
        whole = (numbers == np.floor(numbers)) & (np.abs(numbers) < LARGEST_EXACT)
        self.refuse(~whole, "be whole seconds below 2**53", "Divide or round the times first.")
        return numbers.astype(np.int64)

    def partitions(self) -> np.ndarray:
        """Return positions in `PARTITIONS`, int8, of labels ``0 1 2`` or ``train valid test``."""
        labels = {name: i for i, name in enumerate(PARTITIONS)}
        labels |= {str(i): i for i in labels.values()}
        self.refuse(self.values.isna().to_numpy(bool), "not be missing")
        rows, unique = pd.factorize(self.values)
        found = pd.Series(np.asarray(unique), dtype=object).astype(str).map(labels)
        positions = found.fillna(-1).to_numpy(np.int8)[rows]
        self.refuse(positions < 0, f"be 0, 1, 2 or one of {PARTITIONS}")
        return positions


@dataclass(frozen=True)
class Table:
    """Named columns from one source (a file, or ``frame``)."""

    source: str
    frame: pd.DataFrame
    where: Callable[[int], str]

    def __len__(self) -> int:
        return len(self.frame)

    def column(self, name: str) -> Column:
        """Return a column; an unknown name is refused with the names there are."""
        check_columns(self.source, [name], list(self.frame.columns))
        return Column(name, pd.Series(self.frame[name]), self.where)

    def optional(self, name: str | None) -> Column | None:
        """Return a column, or None for no name."""
        return None if name is None else self.column(name)


def check_columns(source: str, wanted: list[str], there: list[str]) -> None:
    """Raise an InputError that lists the columns, unless each wanted one is there once."""
    wrong = [name for name in wanted if there.count(name) != 1]
    if wrong:
        names = ", ".join(map(str, there))
        raise InputError(f"{source} must have one column {wrong[0]!r}; got {names}.")
