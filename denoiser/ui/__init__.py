"""The web page: the only package that imports Gradio.

``page`` puts the page together, one module per tab. ``experiment``, ``payload`` and ``exports`` hold
what needs no Gradio. ``assets`` has the style sheet and the scripts that run in the browser.
"""
