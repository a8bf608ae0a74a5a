"""The text layer of PDFs, by PDFium. What is a picture of text has none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import pypdfium2  # type: ignore[import-untyped]
import pypdfium2.raw  # type: ignore[import-untyped]

from collectors.labels.budget import Unreadable

_MOST_CHARACTERS: Final = 200_000
"""Of one page."""


class Encrypted(Exception):
    """It asks for a password."""


def open_pdf(file: BinaryIO) -> tuple[Any, bool]:
    """(the document, whether it is encrypted with an empty password). Raises Encrypted, Unreadable."""
    try:
        document = pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower() or "security" in str(error).lower():
            raise Encrypted from error
        raise Unreadable("broken PDF") from error
    return document, pypdfium2.raw.FPDF_GetSecurityHandlerRevision(document) >= 0


def page_texts(document: Any, most: int) -> Iterator[str]:
    """Page by page; a broken page is an empty one."""
    for number in range(min(len(document), most)):
        try:
            page = document[number]
            try:
                text_page = page.get_textpage()
                count = min(text_page.count_chars(), _MOST_CHARACTERS)
                yield text_page.get_text_range(0, count) if count > 0 else ""
                text_page.close()
            finally:
                page.close()
        except pypdfium2.PdfiumError:
            yield ""
