"""The options of ``python app.py`` and ``python -m denoiser.ui``."""

import argparse
import logging
from collections.abc import Sequence

from denoiser.denoisers.callables import OwnDenoiserError
from denoiser.denoisers.plugins import (
    DEFAULT_FUNCTION,
    parse_file_function,
    register,
    register_packages,
)

_log = logging.getLogger(__name__)


def register_plugins(arguments: Sequence[str], is_space: bool, program: str = "app.py") -> None:
    """Add the denoisers of installed packages, and those that the command line names.

    It has to be done before the page is built, which lists all that there are. A package that fails is a
    warning in the log.

    Args:
        arguments: Of the command line; none where the page is not started by one.
        is_space: Whether this is a Space, which runs no file that is no part of it.
        program: What was started, for its help.

    Raises:
        OwnDenoiserError: A file that is named has no denoiser, or this is a Space.
        SystemExit: There is no such option, or help was asked for.
    """
    parser = argparse.ArgumentParser(prog=program, description="Serve the page.")
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE.py:FUNCTION",
        help=f"a denoiser of your own, to show beside the others ({DEFAULT_FUNCTION} by default); the "
        "file is run, with all that it may do; can be given several times",
    )
    plugins = parser.parse_args(arguments).plugin
    if plugins and is_space:
        raise OwnDenoiserError("--plugin is for a page on your own machine, not for a Space.")
    for sentence in register_packages():
        _log.warning(sentence)
    for plugin in plugins:
        register(parse_file_function(plugin).load())
