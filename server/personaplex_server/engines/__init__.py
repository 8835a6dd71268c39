"""What can answer a caller: the model, or an echo of the caller."""
