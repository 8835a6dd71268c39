"""Amazon Web Services: virtual machines with GPUs (EC2)."""
