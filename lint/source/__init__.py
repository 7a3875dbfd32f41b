"""The files of a run: finding and opening them, what belongs together, and places in them."""
