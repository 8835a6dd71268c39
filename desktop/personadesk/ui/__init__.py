"""The window: everything that may import Qt, and nothing else may."""
