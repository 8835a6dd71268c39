"""Google Compute Engine: virtual machines with an L4, A100 or H100."""
