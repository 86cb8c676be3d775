"""A Hugging Face Hub of one's own, on this machine: see :mod:`tests.hub.server`."""

from .server import LoopbackHub, Recorded

__all__ = ["LoopbackHub", "Recorded"]
