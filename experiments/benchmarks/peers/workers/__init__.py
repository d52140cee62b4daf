"""What is measured of each tool; the files run by themselves: see `serving.py`."""
