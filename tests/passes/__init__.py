"""Passes keep outputs: on every example, block and network, each pass by itself and all together."""
