"""Filters and trained networks behind one contract, and the list of all of them."""
