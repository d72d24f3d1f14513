"""The side of the server: start plugins, call their hooks, answer their API calls."""
