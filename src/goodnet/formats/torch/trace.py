"""What a module does, call by call, as `torch.fx` sees it; what it cannot see stays whole.

A submodule that cannot be traced, for instance because its control flow depends on the images, is
one call. So is a module that cannot be traced at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from goodnet.errors import InvalidInput
from goodnet.ops.torch import Parameter

# Sizes of two batches: what differs between them depends on the batch.
BATCHES = (2, 3)


class Region(fx.GraphModule):
    """A part of the user's module under its own names. Always in evaluation mode.

    Dropout and running statistics of what is not known layer by layer stay as they answer.
    """

    def train(self, mode: bool = True) -> Region:  # noqa: ARG002
        """Stay in evaluation mode."""
        super().train(False)
        return self


@dataclass(frozen=True, eq=False)
class Trace:
    """A traced module and what its calls gave for two batches of images.

    A *value* is what a layer has: a tensor of floats with one row for each image.

    Attributes:
        root: Where the names of the calls lead.
        graph: The calls in running order.
        results: What each call gave, for each of the two batches.
        prefix: What the names in `root` have before those in the user's module.
    """

    root: nn.Module
    graph: fx.Graph
    results: tuple[dict[fx.Node, Any], dict[fx.Node, Any]]
    prefix: str = ""

    @property
    def images(self) -> fx.Node:
        """Where the images enter."""
        found: fx.Node = next(node for node in self.graph.nodes if node.op == "placeholder")
        return found

    @property
    def output(self) -> fx.Node:
        """The call that gives the answer.

        Raises:
            InvalidInput: If the answer is not one tensor.
        """
        (answer,) = next(node for node in self.graph.nodes if node.op == "output").args
        if not isinstance(answer, fx.Node) or not self.is_value(answer):
            given = self.results[0].get(answer) if isinstance(answer, fx.Node) else answer
            raise InvalidInput(
                f"expected a classifier with outputs (batch, classes), but the module returns "
                f"{_shown(given)}; put it into a module that returns the logits alone"
            )
        return answer

    def is_value(self, node: Any) -> bool:
        """Whether this is a call that gives a value."""
        if not isinstance(node, fx.Node) or node.op == "get_attr":
            return False
        found = [results.get(node) for results in self.results]
        return all(
            isinstance(value, Tensor)
            and value.is_floating_point()
            and value.ndim > 1
            and len(value) == batch
            for value, batch in zip(found, BATCHES, strict=True)
        )

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """Shape of a value for one image."""
        return tuple(self.results[0][node].shape[1:])

    def module(self, node: fx.Node) -> nn.Module | None:
        """The module that is called, if one is; one with hooks is no known module."""
        if node.op != "call_module":
            return None
        module = self.root.get_submodule(str(node.target))
        return None if module._forward_hooks or module._forward_pre_hooks else module

    def buffer(self, node: Any) -> Tensor | None:
        """The constant tensor of the module that this is, if it is one."""
        if not isinstance(node, fx.Node) or node.op != "get_attr":
            return None
        found = self.results[0].get(node)
        return found if isinstance(found, Tensor) and not isinstance(found, nn.Parameter) else None

    def parameter(self, node: Any) -> Parameter | None:
        """The parameter of the module that this is, if it is one."""
        if not isinstance(node, fx.Node) or node.op != "get_attr":
            return None
        found = self.results[0].get(node)
        return Parameter(found, str(node.target)) if isinstance(found, nn.Parameter) else None

    def region(self, node: fx.Node) -> tuple[Region, tuple[fx.Node, ...]]:
        """A call with all that leads to it from values, and those values."""
        inside: dict[fx.Node, None] = {}
        inputs: dict[fx.Node, None] = {}
        waiting = [node]
        while waiting:
            here = waiting.pop()
            if here is not node and (here.op == "placeholder" or self.is_value(here)):
                inputs[here] = None
            else:
                inside[here] = None
                waiting += here.all_input_nodes
        graph = fx.Graph()
        # Networks keep pictures channels-last, of which the user's code may want a view.
        copies = {
            read: graph.call_method("contiguous", (graph.placeholder(f"value_{i}"),))
            for i, read in enumerate(inputs)
        }
        for here in self.graph.nodes:
            if here in inside:
                copies[here] = graph.node_copy(here, copies.__getitem__)
        graph.output(copies[node])
        return Region(self.root, graph), tuple(inputs)


def trace(module: nn.Module, input_shape: Sequence[int]) -> tuple[Trace | None, Trace]:
    """Trace a module as deep as possible, and as one call.

    Args:
        module: In evaluation mode.
        input_shape: Shape of one image.

    Returns:
        What was traced, None where it cannot be traced; and the module as one call.

    Raises:
        InvalidInput: If the module does not run on such images.
    """
    images = tuple(_images(batch, input_shape, module) for batch in BATCHES)
    try:
        with torch.inference_mode():
            module(images[0])
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InvalidInput(
            f"the module does not run on images of shape {tuple(input_shape)}: {reason}"
        ) from error
    root, graph = nn.Module(), fx.Graph()
    root.add_module("module", module)
    graph.output(graph.call_module("module", (graph.placeholder("images"),)))
    whole = _recorded(root.eval(), graph, images, prefix="module.")
    try:
        # Anything may be raised by the user's code where it meets what stands for images.
        return _recorded(module, Tracer().trace(module), images), whole
    except Exception:
        return None, whole


def _images(batch: int, shape: Sequence[int], module: nn.Module) -> Tensor:
    random = torch.Generator().manual_seed(batch)
    like = next((x for x in module.parameters() if x.is_floating_point()), torch.empty(0))
    return torch.rand(batch, *shape, generator=random).to(like.device, like.dtype)


def _recorded(
    root: nn.Module, graph: fx.Graph, images: Sequence[Tensor], prefix: str = ""
) -> Trace:
    program = fx.GraphModule(root, graph)
    first, second = (_Recorder(program, graph).record(batch) for batch in images)
    return Trace(root, graph, (first, second), prefix)


def _shown(answer: object) -> str:
    """What a module returns, in words."""
    if isinstance(answer, Tensor):
        return f"a tensor of shape {tuple(answer.shape)} and type {answer.dtype}"
    if isinstance(answer, Mapping):
        return f"a {type(answer).__name__} with {', '.join(map(repr, answer))}"
    if isinstance(answer, Sequence) and not isinstance(answer, str):
        return f"a {type(answer).__name__} of {len(answer)}"
    return f"a {type(answer).__name__}"


class Tracer(fx.Tracer):
    """Traces what can be traced: a submodule that cannot is one call."""

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Callable[..., Any], list[Any]]:
        """The images alone: what else the module may be given has its default."""
        _ = is_module, concrete_args
        return root_fn, [self.root, self.create_proxy("placeholder", "images", (), {})]

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """The submodule call by call, or as one call."""
        last = next(iter(reversed(self.graph.nodes)))
        stack = self.module_stack.copy()
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:
            self.module_stack = stack
            for node in reversed(self.graph.nodes):
                if node is last:
                    break
                self.graph.erase_node(node)
            return self.create_proxy("call_module", self.path_of_module(m), args, kwargs)


class _Recorder(fx.Interpreter):
    """Runs a graph and notes what each call gives, before anything writes over it."""

    def __init__(self, program: fx.GraphModule, graph: fx.Graph) -> None:
        super().__init__(program, garbage_collect_values=False)
        self._originals = dict(zip(program.graph.nodes, graph.nodes, strict=True))
        self._results: dict[fx.Node, Any] = {}

    def record(self, images: Tensor) -> dict[fx.Node, Any]:
        with torch.inference_mode():
            self.run(images)
        return self._results

    def run_node(self, n: fx.Node) -> Any:
        found = super().run_node(n)
        self._results[self._originals[n]] = found
        return found
