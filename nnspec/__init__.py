"""nnspec: the compiler for declarative network specs."""
