"""The files of a run: finding and opening them, which of them belong together, and places in them."""
