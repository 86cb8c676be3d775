"""``python -m train all``: every network in one go, within a budget of time."""
