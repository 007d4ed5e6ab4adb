"""From the syntax tree to the IR: names, values, layers and shapes."""
