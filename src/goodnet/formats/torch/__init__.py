"""PyTorch modules of the user's own: described layer by layer, changed, and given back."""

from goodnet.formats.torch.wrap import wrap

__all__ = ["wrap"]
