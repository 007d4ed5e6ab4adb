"""The networks of examples/zoo against their originals: `network.py` says how to add one."""
