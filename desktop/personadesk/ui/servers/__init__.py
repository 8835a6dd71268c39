"""Machines of one's own that are reached by SSH: their list, the form that adds one, and what was found about them."""
