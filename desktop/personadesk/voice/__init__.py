"""Speaking to a voice server: the client, the voice test and its report."""
