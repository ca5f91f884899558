"""The directions in which features of stamped images differ from those of clean ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from goodnet.repair.fold import Vectors

__all__ = ["directions"]

# Lengths below this share of what they are compared with are rounding.
_NEGLIGIBLE = 1e-5


def directions(differences: Sequence[Vectors], rank: int) -> Vectors:
    """Orthonormal directions in which stamped features differ from clean ones.

    Args:
        differences: For each trigger, stamped minus clean features, shape (images, channels).
        rank: Directions for each: its mean difference, then the principal directions of what is
            left beside all mean differences.

    Returns:
        Columns, shape (channels, at most rank * triggers); those that hardly differ from others
        are dropped, so that there may be none.
    """
    means = np.stack([difference.mean(0) for difference in differences], axis=1)
    basis = _orthonormal(means)
    if rank > 1:
        others = [_principal(difference, basis, rank - 1) for difference in differences]
        basis = _orthonormal(np.concatenate([basis, *others], axis=1))
    return basis


def _principal(difference: Vectors, basis: Vectors, count: int) -> Vectors:
    beside = difference - difference @ basis @ basis.T
    _, sizes, axes = np.linalg.svd(beside - beside.mean(0), full_matrices=False)
    real = sizes[:count] > _NEGLIGIBLE * float(np.linalg.norm(difference))
    chosen: Vectors = axes[:count][real].T
    return chosen


def _orthonormal(columns: Vectors) -> Vectors:
    columns = columns[:, np.linalg.norm(columns, axis=0) > 0]
    lengths = np.linalg.norm(columns, axis=0)
    basis, triangle = np.linalg.qr(columns)
    lengths, own = lengths[: basis.shape[1]], np.abs(np.diagonal(triangle))
    kept: Vectors = basis[:, own > _NEGLIGIBLE * lengths]
    return kept
