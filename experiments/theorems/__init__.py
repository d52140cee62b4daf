"""The theorems of the field, each checked by number on exact games."""
