"""Two voices side by side, and how many calls a line takes: the voice console's views that need no microphone."""
