"""Figures of every machine and voice as time passes: sampled, kept, judged, and handed to whoever looks."""
