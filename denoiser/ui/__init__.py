"""The web page: the only package that imports Gradio.

``page`` puts it together. A tab is a folder, with its charts, its scripts and what they are sent;
``api`` has the endpoints for programs. ``experiment`` is what all tabs work on, ``common`` what they
share, ``server`` how they are served.
"""
