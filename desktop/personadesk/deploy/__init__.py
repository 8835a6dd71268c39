"""From a plan, by steps that are journalled first, to a voice that answers."""
