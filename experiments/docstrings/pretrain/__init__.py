"""Pre-training of the start policy; `__main__.py` is its lab note."""
