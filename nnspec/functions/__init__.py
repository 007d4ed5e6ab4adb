"""Functions of the language, one family in each file; `nnspec.registry` finds them by their classes' names."""
