"""The voice model itself: sizes, weights, language model, codec, prompt; torch, and nothing of the network."""
