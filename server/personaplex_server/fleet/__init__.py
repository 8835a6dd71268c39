"""Many voice servers as one, under Ray Serve: one replica a GPU."""
