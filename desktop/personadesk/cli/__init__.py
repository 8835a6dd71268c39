"""The same jobs as the window, from a terminal."""
