"""nnspec held against PyTorch's own tables of samples, `module_db` and `op_db`, and the page that says how it went.

`python -m tests.tables > docs/coverage.md` writes the page.
"""
