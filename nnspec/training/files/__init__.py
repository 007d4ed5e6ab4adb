"""Readers of files, one format each: they know nothing of data sets or specs."""
