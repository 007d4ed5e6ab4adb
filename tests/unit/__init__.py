"""Tests of single parts of the compiler."""
