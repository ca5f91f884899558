from __future__ import annotations

import numpy as np
import pytest

from goodnet.attack import trigger
from goodnet.attack.waves import smooth_noise, wave
from goodnet.errors import UsageError


def test_the_sinusoid_is_that_of_the_paper() -> None:
    images = np.full((1, 3, 4, 24), 128, np.float32)
    added = trigger("sinusoid").stamp_bytes(images) - images
    expected = 20 * np.sin(2 * np.pi * np.arange(24) * 6 / 24)
    np.testing.assert_allclose(added, np.broadcast_to(expected, added.shape), atol=1e-4)
    assert added.max() == pytest.approx(20)


def test_a_wave_has_the_periods_asked_for() -> None:
    spectrum = np.abs(np.fft.rfft(wave(60, amplitude=3, periods=5)))
    assert spectrum.argmax() == 5
    assert spectrum[5] == pytest.approx(3 * 60 / 2)


def test_smooth_noise_has_low_frequencies_only() -> None:
    from scipy.fft import dctn

    noise = smooth_noise((3, 32, 20), frequencies=4, seed=0)
    np.testing.assert_allclose(np.abs(noise).max(axis=(1, 2)), 1)
    weights = dctn(noise, axes=(1, 2))
    assert np.abs(weights[:, 0, 0]).max() < 1e-3
    weights[:, :5, :5] = 0
    assert np.abs(weights).max() < 1e-3


def test_smooth_noise_is_the_same_picture_at_every_size() -> None:
    small = smooth_noise((1, 16, 16), frequencies=4, seed=3)
    large = smooth_noise((1, 48, 48), frequencies=4, seed=3)
    # the middle of every third pixel is that of a small one
    assert np.corrcoef(small.ravel(), large[:, 1::3, 1::3].ravel())[0, 1] > 0.9999


def test_the_amplitude_bounds_the_change() -> None:
    images = np.full((2, 3, 16, 16), 128, np.float32)
    added = trigger("low-frequency", amplitude=7).stamp_bytes(images) - images
    np.testing.assert_allclose(np.abs(added).max(axis=(2, 3)), 7, rtol=1e-4)
    assert (
        trigger("low-frequency", amplitude=7, seed=1).stamp_bytes(images) - images != added
    ).any()


def test_bad_parameters_are_refused() -> None:
    with pytest.raises(UsageError, match="amplitude is from 0 to 255, got -1"):
        trigger("sinusoid", amplitude=-1)
    with pytest.raises(UsageError, match="frequencies is a whole number from 1 on, got 0"):
        trigger("low-frequency", frequencies=0)
