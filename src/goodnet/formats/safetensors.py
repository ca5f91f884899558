"""The state dict of a PyTorch module as a `.safetensors` file, with the module's own keys."""

from __future__ import annotations

from pathlib import Path

from goodnet.errors import UsageError
from goodnet.files import atomic_path
from goodnet.formats.format import Format
from goodnet.formats.spec import NetworkSpec


def _write(spec: NetworkSpec, path: Path, force: bool) -> None:
    from safetensors.torch import save

    from goodnet.formats.build import build
    from goodnet.network import ModuleSource

    if not isinstance(spec.source, ModuleSource):
        raise UsageError(
            f"a network that was not made of a PyTorch module, or has other layers than it, is "
            f"written as .keras or .h5, got the file name {path.name!r}"
        )
    # Copies: safetensors refuses tensors that share their memory.
    state = {key: x.detach().clone() for key, x in build(spec).module.state_dict().items()}
    with atomic_path(path, force=force) as place:
        place.write_bytes(save({key: tensor.contiguous() for key, tensor in state.items()}))


FORMAT = Format("safetensors", ".safetensors", _write)
