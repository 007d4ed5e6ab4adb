"""Rewriting programs for inference: each pass is a file, and leaves the outputs as they are."""
