"""Hooks: their names and table, the decorator and results authors use, and the dispatch of calls."""
