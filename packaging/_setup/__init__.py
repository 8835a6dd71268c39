"""What `packaging/bootstrap.py` does, in parts; the standard library only, since nothing is installed yet."""
