"""The rows: one file a kind, the table of all, and recipes of several."""
