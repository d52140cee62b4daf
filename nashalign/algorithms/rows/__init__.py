"""The rows: one file a kind, and the table of all."""
