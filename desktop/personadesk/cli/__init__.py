"""The same jobs as in the window, from a terminal; thin."""
