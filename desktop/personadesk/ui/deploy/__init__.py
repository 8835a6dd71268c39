"""The deploy page: wizard, running deploys, results."""
