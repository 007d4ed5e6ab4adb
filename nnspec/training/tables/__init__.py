"""Rows and columns, CSV and Parquet, on the way to fields."""
