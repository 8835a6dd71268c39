"""Azure: virtual machines with an A10, A100 or H100."""
