"""The directions in which features of stamped images differ from those of clean ones.

Clean images differ from each other along these directions, too. How much of a direction a value
holds is therefore told with as little of that as can be, so that taking it out costs little: by an
oblique projection instead of an orthogonal one.

Belrose et al., LEACE: Perfect linear concept erasure in closed form, NeurIPS 2023. Departures: what
is taken out are means per trigger and what varies beside them, and what is disturbed least is what
clean images have, whose covariance is shrunk, since there may be fewer images than channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from goodnet.repair.fold import Vectors

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


def duals(basis: Vectors, clean: Vectors) -> Vectors:
    """Columns that tell how much of each direction a value holds.

    Args:
        basis: Orthonormal directions U, shape (channels, rank).
        clean: Features of clean images, shape (images, channels).

    Returns:
        V of the same shape: of all with V^T U = I, those along which clean images vary least.
    """
    covariance = _covariance(clean)
    if covariance is None:
        return basis
    least = np.linalg.solve(covariance, basis).astype(np.float64, copy=False)
    found: Vectors = least @ np.linalg.inv(basis.T @ least)
    return found


def _covariance(values: Vectors) -> Vectors | None:
    """Shrunk towards equal variances; None if nothing varies.

    Ledoit & Wolf, A well-conditioned estimator for large-dimensional covariance matrices, 2004.
    """
    beside = values - values.mean(0)
    count, channels = beside.shape
    covariance: Vectors = beside.T @ beside / count
    equal = float(np.trace(covariance)) / channels * np.eye(channels)
    apart = float(((covariance - equal) ** 2).sum())
    sizes = (beside**2).sum(1)
    noise = (float((sizes**2).mean()) - float((covariance**2).sum())) / count
    if not sizes.any():
        return None
    share = min(1.0, max(_NEGLIGIBLE, noise / apart)) if apart else 1.0
    shrunk: Vectors = (1 - share) * covariance + share * equal
    return shrunk


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
