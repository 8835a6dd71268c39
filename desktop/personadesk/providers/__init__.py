"""The providers that rent machines: one file each, and the interface that they share."""
