"""HDF5 without its doors: no links out of the file, no foreign storage, no plugins, no bombs."""

from goodnet.formats.safe_hdf5.attributes import names, text
from goodnet.formats.safe_hdf5.chunks import reader_of_rows
from goodnet.formats.safe_hdf5.dataset import (
    check_dataset,
    dataset_at,
    datasets,
    declared_bytes,
    read_dataset,
)
from goodnet.formats.safe_hdf5.opening import SIGNATURE, open_hdf5

__all__ = [
    "SIGNATURE",
    "check_dataset",
    "dataset_at",
    "datasets",
    "declared_bytes",
    "names",
    "open_hdf5",
    "read_dataset",
    "reader_of_rows",
    "text",
]
