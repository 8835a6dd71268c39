"""Reaching one machine: running, copying and supervising there."""
