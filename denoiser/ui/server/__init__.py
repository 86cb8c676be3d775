"""How the page is served: limits, queue, sessions, uploads, and what strangers may ask for."""
