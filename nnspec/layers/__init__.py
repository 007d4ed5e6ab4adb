"""The library of layers, one family a file; `nnspec.registry` finds the classes by name."""
