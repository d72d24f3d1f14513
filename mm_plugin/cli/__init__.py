"""The command ``mm-plugin``."""
