"""How the page is served, and what strangers may ask of it.

A request comes through ``security`` (which routes are open) and ``limits`` (how large and how slow it
may be). What it asks Gradio for is an event: ``guard`` looks at what that brings along. ``queue`` says
which event is next; what takes long goes from there to ``scheduler``, which computes it.
"""
