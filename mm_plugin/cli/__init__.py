"""The commands. Internal."""
