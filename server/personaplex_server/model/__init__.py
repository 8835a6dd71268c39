"""The model itself: language model, depth transformer, codec, sampling and weights."""
