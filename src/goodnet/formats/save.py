"""Write a network: into a copy of the file it came from, as a state dict, or anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from goodnet.errors import UsageError
from goodnet.files import atomic_path
from goodnet.formats.build import extract
from goodnet.formats.keras import edit, write
from goodnet.formats.spec import NetworkSpec, SourceFile
from goodnet.network import ModuleSource

if TYPE_CHECKING:
    from goodnet.network import Network

_SAFETENSORS = ".safetensors"


def save_network(network: Network, path: Path, *, force: bool = False) -> None:
    """Write a network, see `Network.save`."""
    if path.suffix.lower() == _SAFETENSORS:
        _save_state(network, path, force=force)
    else:
        save_spec(extract(network), path, force=force)


def save_spec(spec: NetworkSpec, path: Path, *, force: bool = False) -> None:
    """Write a network from its description as a Keras file; raises what `Network.save` raises."""
    if spec.file and path.suffix.lower() == file_suffix(spec.file):
        stored = {key: array for key, array in spec.arrays.items() if key in spec.file.origins}
        edit.rewrite(spec.file, stored, path, force=force)
    else:
        write.write(spec, path, force=force)


def file_suffix(source: SourceFile) -> str:
    """The suffix of a copy of a file."""
    return ".keras" if source.format == "keras-zip" else ".h5"


def _save_state(network: Network, path: Path, *, force: bool) -> None:
    from safetensors.torch import save

    if not isinstance(network.spec.source, ModuleSource):
        raise UsageError(
            f"a network that was not made of a PyTorch module, or has other layers than it, is "
            f"written as .keras or .h5, got the file name {path.name!r}"
        )
    # Copies: safetensors refuses tensors that share their memory.
    state = {key: x.detach().cpu().clone() for key, x in network.module.state_dict().items()}
    with atomic_path(path, force=force) as place:
        place.write_bytes(save({key: tensor.contiguous() for key, tensor in state.items()}))
