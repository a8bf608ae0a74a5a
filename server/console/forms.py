"""Reads what a form brought, bounded in fields, names and sizes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, ImmutableMultiDict, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from server.api.errors import ApiError
from server.console.page import Uploaded
from server.store.column_types import is_storable

FIELDS_MAX: Final = 1000
FILES_MAX: Final = 4
URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"


def read_form(
    body: bytes, headers: Headers, *, uploads: bool
) -> tuple[ImmutableMultiDict[str, str], dict[str, Uploaded]]:
    """Fields and files; in a thread, as a large file takes a while. Raises ApiError: 415, or 400 where it is
    malformed, has too much, or a text that no database can keep."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    files: dict[str, Uploaded] = {}
    if kind == URLENCODED or (not kind and not body):
        fields = _fields(body)
    elif kind == MULTIPART and uploads:
        fields, files = asyncio.run(_parts(body, headers))
    else:
        wanted = MULTIPART if uploads else URLENCODED
        raise ApiError(415, "content_type", f"the content type must be {wanted}")
    texts = [value for _, value in fields.multi_items()] + [file.name for file in files.values()]
    if not all(map(is_storable, texts)):
        raise ApiError(400, "unstorable", "no text may hold a NUL")
    return fields, files


def _fields(body: bytes) -> ImmutableMultiDict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX
        )
    except ValueError:
        raise ApiError(400, "bad_form", "the form cannot be read") from None
    return ImmutableMultiDict(pairs)


async def _parts(body: bytes, headers: Headers) -> tuple[ImmutableMultiDict[str, str], dict[str, Uploaded]]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(
        headers, stream(), max_files=FILES_MAX, max_fields=FIELDS_MAX, max_part_size=len(body) + 1
    )
    try:
        # A form without its boundary makes the parser fail with a KeyError.
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        raise ApiError(400, "bad_form", "the form cannot be read") from error
    fields: list[tuple[str, str]] = []
    files: dict[str, Uploaded] = {}
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files[name] = Uploaded((value.filename or "")[:255], await value.read())
            else:
                fields.append((name, value))
    finally:
        await form.close()
    return ImmutableMultiDict(fields), files
