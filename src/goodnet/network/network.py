"""A classifier as a graph with named layers: run it, cut it, copy it.

Only this package touches `torch.fx`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, fx, nn

from goodnet.errors import InvalidInput
from goodnet.network import surgery
from goodnet.network.answers import answers, check_answered
from goodnet.network.batching import batch_of, block_of, computing, refusal
from goodnet.network.calibration import calibrate
from goodnet.network.cut import Cut, batches, channels_last
from goodnet.network.fits import as_images, check_pair
from goodnet.network.module_source import ModuleSource
from goodnet.network.workers import map_blocks
from goodnet.preprocessing import IDENTITY, Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodnet.formats.spec import NetworkSpec
    from goodnet.imagesets import ImageSet

    Pictures = Tensor | NDArray[np.float32] | NDArray[np.uint8]

# No pixel of images 0..1 is as large, whatever was added to it; of images 0..255 nearly all are.
_LARGEST = 16
# Where the preprocessing is in a graph: no layer is called so, see `surgery.identifier`.
_FIRST = "_preprocessing"


@dataclass(frozen=True)
class Node:
    """One step of a network to assemble: `module` applied to the values of `inputs`."""

    name: str
    module: nn.Module
    inputs: tuple[str, ...]


class Network:
    """An image classifier with named layers, in evaluation mode, never trained in place.

    Made by `goodnet.load` from a file or by `goodnet.wrap` from a module.
    """

    def __init__(
        self,
        graph: fx.GraphModule,
        names: dict[str, str],
        *,
        input_shape: tuple[int, ...],
        spec: NetworkSpec,
    ) -> None:
        """Take a graph; `names` maps each layer's name to its node, `spec` describes it."""
        self.graph = graph.eval()
        self.spec = spec
        self.input_shape = input_shape
        self._names = names
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._output_shape: tuple[int, ...] = ()
        self._held = 0
        self._measure()

    @classmethod
    def assemble(
        cls,
        nodes: Iterable[Node],
        *,
        image: str,
        output: str,
        input_shape: tuple[int, ...],
        spec: NetworkSpec,
        first: nn.Module | None = None,
    ) -> Network:
        """Build a network from modules and the names of what they read.

        Args:
            nodes: In an order that can be run.
            image: The name by which nodes read the images.
            output: Name of the node whose value is the answer.
            input_shape: Shape of one image, (channels, height, width).
            spec: The plain description this network was built from.
            first: What images pass before any node reads them; no layer.
        """
        root, graph = nn.Module(), fx.Graph()
        values = {image: graph.placeholder("images")}
        if first is not None:
            root.add_module(_FIRST, first)
            values[image] = graph.call_module(_FIRST, (values[image],))
        for index, node in enumerate(nodes):
            target = surgery.identifier(node.name, index, root)
            root.add_module(target, node.module)
            inputs = tuple(values[name] for name in node.inputs)
            values[node.name] = graph.call_module(target, inputs)
        graph.output(values[output])
        names = {name: node.name for name, node in values.items() if name != image}
        return cls(fx.GraphModule(root, graph), names, input_shape=input_shape, spec=spec)

    # -- what it is --------------------------------------------------------------------------

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of all layers in running order."""
        return tuple(self._names)

    @property
    def num_classes(self) -> int:
        """Number of outputs."""
        return self._output_shape[0]

    @property
    def last_linear(self) -> str | None:
        """The linear layer that gives the outputs, before a softmax if there is one."""
        node = surgery.last_linear(self.graph)
        return None if node is None else self._layer(node)

    @property
    def features_layer(self) -> str | None:
        """The layer whose value the last linear layer reads; None where there is none."""
        node = surgery.last_linear(self.graph)
        source = None if node is None else node.all_input_nodes[0]
        name = None if source is None else source.name
        return next((layer for layer, found in self._names.items() if found == name), None)

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        tensors = [*self.graph.parameters(), *self.graph.buffers()]
        return tensors[0].device if tensors else torch.device("cpu")

    @property
    def preprocessing(self) -> Preprocessing:
        """What it does to images 0..1 before its first layer."""
        return self.spec.preprocessing

    def shape(self, layer: str) -> tuple[int, ...]:
        """Shape of a layer's value for one image; channels first."""
        return self._shapes[self._node(layer).name]

    def layer(self, name: str) -> nn.Module:
        """The module that computes a layer.

        Raises:
            InvalidInput: If the layer does not exist.
        """
        return self.graph.get_submodule(str(self._node(name).target))

    @property
    def module(self) -> nn.Module:
        """This network as a PyTorch module, a copy, without its preprocessing.

        For a network made by `goodnet.wrap`, and every copy of it with other weights, it is of the
        user's class; for any other, a `torch.fx.GraphModule`.

        Raises:
            InvalidInput: If two layers that share an array of the user's module differ in it.
        """
        source = self.spec.source
        if isinstance(source, ModuleSource):
            return source.restored(self)
        return copy.deepcopy(self.with_preprocessing(IDENTITY).graph)

    def channels(self, layer: str) -> int:
        """Number of channels of a layer's value."""
        shape = self.shape(layer)
        if not shape:
            raise InvalidInput(f"layer {layer!r} has no channels")
        return shape[0]

    # -- run it ------------------------------------------------------------------------------

    def __call__(self, images: Pictures) -> Tensor:
        """Outputs (batch, classes) of images 0..1, (batch, channels, height, width).

        Raises:
            InvalidInput: If these are not images that it takes: see `as_images`.
            OverBudget: If there is not enough memory.
        """
        given = as_images(images, self.input_shape)
        with torch.inference_mode(), computing(self.input_shape):
            result: Tensor = self.graph(channels_last(given.to(self.device)))
        return result

    def outputs(self, images: Pictures) -> Tensor:
        """Outputs (batch, classes) on the CPU for any number of images 0..1, in batches.

        Raises:
            InvalidInput: As when it is called.
        """
        given = as_images(images, self.input_shape)

        def run(batch: Tensor) -> Tensor:
            return self(batch).cpu()

        parts = list(map_blocks(run, batches(given, self.batch_size), self.device))
        return torch.cat(parts) if parts else torch.empty(0, self.num_classes)

    def answers(self, images: Pictures) -> NDArray[np.int64]:
        """As `predict`, but `NO_ANSWER` for images on which the outputs are NaN or infinite."""
        given = as_images(images, self.input_shape)
        _check_unit(given)
        found: NDArray[np.int64] = answers(self.outputs(given)).numpy()
        return found

    def predict(self, images: Pictures) -> NDArray[np.int64]:
        """The class of each image 0..1, shape (batch,).

        Raises:
            InvalidInput: As when it is called, if floats are not 0..1, or if outputs are NaN or
                infinite.
        """
        return check_answered(self.answers(images))

    # -- change it ---------------------------------------------------------------------------

    def copy(self) -> Network:
        """An independent network with the same layers and weights."""
        graph = copy.deepcopy(self.graph)
        return Network(graph, dict(self._names), input_shape=self.input_shape, spec=self.spec)

    def to(self, device: torch.device | str) -> Network:
        """An independent network on another device; this network if it is there already."""
        if torch.device(device) == self.device:
            return self
        duplicate = self.copy()
        duplicate.graph.to(device)
        return duplicate

    def with_preprocessing(self, preprocessing: Preprocessing) -> Network:
        """The same layers and weights with another preprocessing; this network if it is the same.

        Raises:
            InvalidInput: If it is for images with another number of channels.
        """
        from goodnet.formats.build import build, extract

        if preprocessing == self.preprocessing:
            return self
        spec = replace(extract(self), preprocessing=preprocessing)
        return build(spec).to(self.device)

    def calibrated(self, images: ImageSet) -> Network:
        """The same network with the preprocessing with which it classifies images correctly.

        What networks usually take is tried, and the preprocessing this network has; see
        `calibrate`.

        Args:
            images: Clean and labelled.

        Raises:
            InvalidInput: If none works, or the images are too few or too uniform to decide.
        """
        check_pair(self, images)
        return self.with_preprocessing(calibrate(self, images).preprocessing)

    def cut(self, layer: str) -> Cut:
        """Split the network behind a layer; head then tail is the network.

        Raises:
            InvalidInput: If the layer does not exist or its value does not reach the output.
        """
        halves = surgery.split(self.graph, self._node(layer))
        if halves is None:
            raise InvalidInput(f"the value of layer {layer!r} does not reach the network's output")
        return Cut(
            head=halves.head,
            tail=halves.tail,
            head_batch=self.batch_size,
            tail_batch=self._batch([*halves.behind, *halves.crossing]),
            block=block_of(
                math.prod(self.input_shape), kept=sum(map(self._numbers, halves.crossing))
            ),
            shape=self.input_shape,
            values=len(halves.crossing),
            device=self.device,
        )

    def save(self, path: Path | str, *, force: bool = False) -> None:
        """Write the network without its preprocessing; the suffix determines the format.

        Args:
            path: The file to write. A network with the layers of the file it came from is written
                into a copy of that file, bit-equal except for the changed numbers, if the suffix is
                the same; other networks are written anew: as `.keras` or `.h5` with built-in layers
                of Keras only, as `.onnx`, or as `.safetensors`. That has the module's own keys for
                a network made of a module, or read from a state dict; for others it describes the
                layers, too, and is read by GoodNet alone.
            force: Replace an existing file.

        Raises:
            InvalidInput: If a layer of the network does not exist in the format, or the file that
                the network came from has changed.
            UsageError: If the file exists and `force` is not set, or has another suffix.
            FileError: If it cannot be written.
        """
        from goodnet.formats.format import save_network

        save_network(self, Path(path), force=force)

    # -- within ------------------------------------------------------------------------------

    @property
    def batch_size(self) -> int:
        """Images per batch such that the largest activations stay in the cache."""
        return self._batch(self.graph.graph.nodes)

    @property
    def block_size(self) -> int:
        """Images to hold at a time: many batches, little memory."""
        return block_of(math.prod(self.input_shape))

    def _batch(self, nodes: Iterable[fx.Node]) -> int:
        return batch_of(max((self._numbers(node) for node in nodes), default=1), held=self._held)

    def _numbers(self, node: fx.Node) -> int:
        return math.prod(self._shapes.get(node.name, ()))

    def _node(self, layer: str) -> fx.Node:
        if layer not in self._names:
            raise InvalidInput(
                f"no layer is called {layer!r}; the network has {', '.join(self._names)}"
            )
        return surgery.named(self.graph, self._names[layer])

    def _layer(self, node: fx.Node) -> str:
        return next(layer for layer, name in self._names.items() if name == node.name)

    def _measure(self) -> None:
        from goodnet.ops.op import most_held

        probe = torch.zeros(1, *self.input_shape, device=self.device)
        try:
            self._shapes = surgery.record_shapes(self.graph, probe)
        except Exception as error:
            raise refusal(error, self.input_shape) from error
        steps = [(x.name, [y.name for y in x.all_input_nodes]) for x in self.graph.graph.nodes]
        self._held = most_held(steps, {x.name: self._numbers(x) for x in self.graph.graph.nodes})
        self._output_shape = self._shapes.get(surgery.output_node(self.graph).name, ())
        if len(self._output_shape) != 1:
            shown = ", ".join(map(str, ("batch", *self._output_shape)))
            raise InvalidInput(
                f"expected a classifier with outputs (batch, classes), got ({shown})"
            )


def _check_unit(images: Tensor) -> None:
    """Refuse pixels 0..255; what is made of images may leave 0..1 a little."""
    if not images.numel():
        return
    least, most = (float(end) for end in images.aminmax())
    if max(-least, most) <= _LARGEST:
        return
    raise InvalidInput(
        f"expected images in [0, 1], got values from {least:g} to {most:g}; divide pixels 0..255 "
        "by 255, or make a set of them with goodnet.images, which knows their range; "
        "what the network does to images 0..1 is its preprocessing"
    )
