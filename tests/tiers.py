"""Which tests run, in which order and in how many processes."""

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The second tier: ``--all``."""
    parser.addoption("--all", action="store_true", help="the slow tests too; named ones always run")


def pytest_report_header(config: pytest.Config) -> str:
    """Say which tier runs."""
    return "all tests" if _runs_all(config) else "without the slow tests; --all runs them too"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests out of the first tier, and put the files that take longest first.

    A process takes a whole file at a time (``--dist loadfile``), in this order: a long one at the end
    would leave the other processes with nothing to do.
    """
    if not _runs_all(config):
        slow = [item for item in items if item.get_closest_marker("slow")]
        if slow:
            config.hook.pytest_deselected(items=slow)
            items[:] = [item for item in items if not item.get_closest_marker("slow")]
    items.sort(key=_place)


def pytest_xdist_auto_num_workers() -> int:
    """How many processes run the tests: one a core, but each may hold an app, a browser and 1.5 GB."""
    return min(4, os.cpu_count() or 1)


def _place(item: pytest.Item) -> int:
    """Where a test's folder comes in the order."""
    folders = ("browser", "training", "page")
    folder = item.path.parent.name
    return folders.index(folder) if folder in folders else len(folders)


def _runs_all(config: pytest.Config) -> bool:
    """Only without any names does the first tier stand for all tests: what is named always runs.

    Each of xdist's processes comes to the same answer: it is given what the command line says.
    """
    by_path = config.args_source is pytest.Config.ArgsSource.ARGS
    named = config.option.keyword or config.option.markexpr
    return bool(config.getoption("all") or by_path or named)
