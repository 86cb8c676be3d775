"""What an event of the page may bring along, and how it fails, whoever sends it.

It works inside Gradio, on what a request says; ``security`` looks at HTTP alone, before that.
"""

import logging
from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio.components.api_component import Api

from denoiser.denoisers.callables import OwnDenoiserError
from denoiser.images import ImageError
from denoiser.ui.server.limits import in_one_line
from denoiser.ui.server.uploads import DISK_FULL, find_files, find_upload, is_full

FAILED = "That did not work. Please load the page anew and try again."

_log = logging.getLogger(__name__)


class GuardedBlocks(gr.Blocks):
    """A page that takes no file but what was uploaded in the session that sends it.

    Gradio itself looks at those files only that come with its own ``meta``. Here the whole request is
    searched, before anything else sees it; that holds for events that are yet to be written, too.

    An event that fails says so in one sentence, and in the log in one line; the traceback is there for
    those who have the level ``DEBUG`` logged.
    """

    async def process_api(  # type: ignore[override]
        self,
        block_fn: Any,
        inputs: list[Any],
        *args: Any,
        session_hash: str | None = None,
        event_data: gr.EventData | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """See ``gr.Blocks``.

        Raises:
            gr.Error: For every reason; one sentence.
        """
        try:
            refuse_foreign_files([inputs, getattr(event_data, "_data", None)], session_hash)
            return await super().process_api(
                block_fn,
                with_defaults(inputs, block_fn.inputs),
                *args,
                session_hash=session_hash,  # type: ignore[misc]
                event_data=event_data,
                **kwargs,
            )
        except gr.Error as error:
            error.print_exception = False
            raise
        except (ImageError, OwnDenoiserError) as error:
            raise gr.Error(str(error), print_exception=False) from None
        except Exception as error:
            _log.warning("The event %s failed: %s", getattr(block_fn, "name", "?"), in_one_line(error))
            _log.debug("It failed here:", exc_info=True)
            full = isinstance(error, OSError) and is_full(error)
            raise gr.Error(DISK_FULL if full else FAILED, print_exception=False) from None


def with_defaults(arguments: list[Any], components: Sequence[gr.blocks.Block]) -> list[Any]:
    """Complete what a program sent to an endpoint of ``gr.api``.

    Gradio's own client fills in what a call leaves out. A program that posts its arguments in order does
    not, and would break whenever an endpoint gets one more argument at its end.

    Args:
        arguments: The arguments, as far as they were sent.
        components: One for each argument; what an ``Api`` holds is the argument's default.

    Returns:
        The arguments, followed by the defaults of those left out.
    """
    left_out = components[len(arguments) :]
    defaults = [component.value for component in left_out if isinstance(component, Api)]
    return (
        [*arguments, *defaults] if len(defaults) == len(left_out) else arguments
    )  # which Gradio refuses


def refuse_foreign_files(data: Any, session: str | None) -> None:
    """Refuse a request that names any file but the session's own uploads.

    Args:
        data: What came from the browser.
        session: Gradio's ``session_hash``.

    Raises:
        ImageError: It does; one sentence.
    """
    for file in find_files(data):
        find_upload(file, session)
