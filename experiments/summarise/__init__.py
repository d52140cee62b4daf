"""The main job; `__main__.py` is its lab note."""
