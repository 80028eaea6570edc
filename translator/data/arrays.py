"""Rows of ids of different lengths, in memory or on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from translator.data.tokenizer import BOS_ID, EOS_ID, PAD_ID
from translator.system.files import prepared_data_error

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths in one array: row i is the `lengths[i]` values from `starts[i]`."""

    values: npt.NDArray[np.int32]
    starts: Ints
    lengths: Ints

    @staticmethod
    def from_lists(rows: Sequence[list[int]]) -> "Ragged":
        """Concatenate lists of ids."""
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        values = np.fromiter((i for row in rows for i in row), np.int32, count=int(offsets[-1]))
        return Ragged(values, offsets[:-1], np.diff(offsets))

    @staticmethod
    def open(path: Path) -> "Ragged":
        """Open what `write_ragged` wrote to `path`; the values stay on disk, memory-mapped.

        Raises:
            TranslatorError: a file is missing or damaged.
        """
        try:
            # Unlike np.load, this reads arrays only: no archives, no pickles.
            values = np.lib.format.open_memmap(_values_path(path), mode="r")
            offsets = np.array(np.lib.format.open_memmap(_offsets_path(path), mode="r"))
            if values.dtype != np.int32 or offsets.dtype != np.int64 or values.ndim != 1:
                raise ValueError("wrong type")
            rows = Ragged(values, offsets[:-1], np.diff(offsets))
            if offsets[0] or offsets[-1] != len(values) or rows.lengths.min(initial=0) < 0:
                raise ValueError("the two files don't belong together")
            return rows
        # The errors for a damaged file have no common base class.
        except Exception as error:
            raise prepared_data_error(path, path.parent) from error

    def row(self, index: int) -> list[int]:
        """Return a row."""
        start = self.starts[index]
        ids: list[int] = self.values[start : start + self.lengths[index]].tolist()
        return ids

    def take(self, rows: Ints) -> "Ragged":
        """Return some rows, in this order and as often as named; the values are not copied."""
        return Ragged(self.values, self.starts[rows], self.lengths[rows])

    def joined(self, rows: Ints) -> npt.NDArray[np.int32]:
        """Return the values of some rows, one row after the other."""
        lengths = self.lengths[rows]
        shift = self.starts[rows] - (np.cumsum(lengths) - lengths)
        values: npt.NDArray[np.int32]
        values = self.values[np.repeat(shift, lengths) + np.arange(lengths.sum())]
        return values

    def padded(self, rows: Ints, *, bos: bool) -> Ints:
        """Return some rows as a matrix: bos if `bos` is true, the ids, eos, then padding.

        Args:
            rows: indices of B rows
            bos: whether each row starts with bos

        Returns:
            The ids, (B, length of the longest row, with bos and eos).
        """
        lengths = self.lengths[rows]
        start = int(bos)
        width = int(lengths.max()) + start + 1
        matrix = np.full((len(rows), width), PAD_ID, dtype=np.int64)
        columns = np.arange(width - start)
        inside = columns < lengths[:, None]
        source = self.starts[rows][:, None] + columns
        matrix[:, start:][inside] = self.values[source[inside]]
        matrix[np.arange(len(rows)), start + lengths] = EOS_ID
        if bos:
            matrix[:, 0] = BOS_ID
        return matrix


def write_ragged(path: Path, rows: Sequence[pa.ListArray]) -> None:
    """Write rows of ids to two files, for `Ragged.open`.

    Args:
        path: the path of both files without their suffixes
        rows: int32 ids, in any number of parts; the parts are read one at a time
    """
    offsets = np.zeros(sum(map(len, rows)) + 1, dtype=np.int64)
    np.cumsum(np.concatenate([part.value_lengths().to_numpy() for part in rows]), out=offsets[1:])
    np.save(_offsets_path(path), offsets)
    header = {"descr": "<i4", "fortran_order": False, "shape": (int(offsets[-1]),)}
    with _values_path(path).open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for part in rows:
            file.write(part.flatten().to_numpy().astype("<i4", copy=False).data)


def _values_path(path: Path) -> Path:
    return path.with_name(f"{path.name}-ids.npy")


def _offsets_path(path: Path) -> Path:
    return path.with_name(f"{path.name}-offsets.npy")
