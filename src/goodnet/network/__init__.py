"""A classifier as a traced graph with named layers."""

from goodnet.network.network import ChannelMask, Cut, Network, Node, batches, channels_last

__all__ = ["ChannelMask", "Cut", "Network", "Node", "batches", "channels_last"]
