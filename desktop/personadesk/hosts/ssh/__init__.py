"""Reaching a machine by SSH: one connection for commands, copies, tunnels and figures. Loads asyncssh on first use."""
