"""From a spec's text to its syntax tree."""
