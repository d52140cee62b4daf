"""Launch files: one file, or folder, is one result."""
