"""Live graphs: the page of all GPUs, its own window, and the graphs of one machine."""
