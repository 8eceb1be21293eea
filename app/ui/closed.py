"""Keeps gradio's hands off files: no page of the lab takes or gives one through gradio."""

from typing import Any

from gradio.blocks import Block

from core.errors import LabError


def refuse_files() -> None:
    """From here on no component copies a file into gradio's cache or fetches one from an address.

    A value that is shaped like one of gradio's files makes it do so, whatever the component is for; and where pages are
    mounted rather than launched (gradio 6.31) it asks of no path whether it may be read. The method is replaced in the
    class because gradio makes components anew for each visitor.
    """
    Block.async_move_resource_to_block_cache = _refuse


async def _refuse(_self: Block, url_or_file_path: Any) -> str | None:
    raise LabError("a form's fields take no files")
