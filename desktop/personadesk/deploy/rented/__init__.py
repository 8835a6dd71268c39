"""Machines that are rented: asked for, watched, and ended, each written down before and after."""
