"""A real model end to end; `__main__.py` is its lab note."""
