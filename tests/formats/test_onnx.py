"""ONNX files: the same answers as onnxruntime, copies with other numbers, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lab import Lab
from modules import SHAPE, DenseNet, MobileNet, ResNet, made
from torch import nn

pytest.importorskip("onnx", reason="no onnx to write ONNX files with")
pytest.importorskip("onnxruntime", reason="no onnxruntime to compare with")

import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx_samples import MODULES, answers, export, random, write_graph

from goodnet.cli.main import run
from goodnet.errors import GoodnetError, InvalidInput, UnsafeInput, UsageError
from goodnet.formats import load_network, read_spec
from goodnet.formats.format import save_spec
from goodnet.formats.silence import silence
from goodnet.imagesets import load_images

SMALL = (3, 16, 16)


def images(count: int, shape: tuple[int, ...] = SMALL) -> Any:
    return np.random.default_rng(1).random((count, *shape), np.float32)


def check_alike(path: Path, shape: tuple[int, ...] = SMALL) -> None:
    pixels = images(5, shape)
    theirs, ours = answers(path, pixels), load_network(path).outputs(pixels).numpy()
    ours = ours[:, 1:] if theirs.shape[1] == 1 else ours
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("how", ["13", "17"])
@pytest.mark.parametrize("name", MODULES)
def test_modules_answer_as_onnxruntime_has_it(tmp_path: Path, name: str, how: str) -> None:
    torch.manual_seed(0)
    module = MODULES[name]().eval()
    check_alike(export(module, tmp_path / "net.onnx", shape=SMALL, how=how))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convnext", "normalized", "everyday"])
def test_modules_of_the_newer_exporter_do(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    path = export(MODULES[name]().eval(), tmp_path / "net.onnx", shape=SMALL, how="dynamo")
    check_alike(path)


@pytest.mark.parametrize("kind", [ResNet, MobileNet, DenseNet])
def test_known_architectures_do(tmp_path: Path, kind: type[nn.Module]) -> None:
    path = export(made(kind).eval(), tmp_path / "net.onnx", shape=SHAPE)
    check_alike(path, SHAPE)
