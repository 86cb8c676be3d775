"""What a visitor sets up once for all tabs: face, noise and methods, an ``Experiment`` of ``pipeline``.

Here are its controls, the check of what they hold, and the link that holds it.
"""
