"""Benchmarks of the voice model, beside the `moshi` package where that can be had."""
