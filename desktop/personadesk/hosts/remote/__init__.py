"""The voice server on another machine: installed, given a model, kept running and removed, all through a `Host`."""
