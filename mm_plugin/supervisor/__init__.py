"""Lifetimes of one plugin process. Internal."""
