from __future__ import annotations

import pytest
from planted import clean_images, planted

from goodnet.errors import UsageError
from goodnet.repair import FineTune, FtSam
from goodnet.training import TrainingConfig


def test_it_weakens_a_backdoor_that_fine_tuning_leaves() -> None:
    """In small steps, which leave it where it is."""
    badnet, images = planted(), clean_images()
    gentle = TrainingConfig(epochs=8, lr=1e-3, tolerance=5)
    plain = FineTune(training=gentle)(badnet.network, images)
    aware = FtSam(training=gentle)(badnet.network, images)
    assert badnet.success(aware.network) < badnet.success(plain.network)
    assert badnet.accuracy(aware.network) > badnet.accuracy(badnet.network) - 0.05


def test_a_clean_network_keeps_its_accuracy() -> None:
    clean = planted(backdoor=False)
    found = FtSam(training=TrainingConfig(epochs=8))(clean.network, clean_images())
    assert clean.accuracy(found.network) > clean.accuracy(clean.network) - 0.03


def test_a_radius_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="a radius above 0, got 0"):
        FtSam(radius=0.0)
