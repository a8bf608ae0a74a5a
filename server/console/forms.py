"""Reads what a form brought, bounded in fields, names and sizes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, ImmutableMultiDict, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from server.api.errors import ApiError
from server.console.page import Uploaded

FIELDS_MAX: Final = 1000
FILES_MAX: Final = 4
URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"


async def read_form(
    body: bytes, headers: Headers, *, uploads: bool
) -> tuple[ImmutableMultiDict[str, str], dict[str, Uploaded]]:
    """Fields and files. Raises ApiError: 415, or 400 where it is malformed or has too much."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == URLENCODED or (not kind and not body):
        return _fields(body), {}
    if kind == MULTIPART and uploads:
        return await _parts(body, headers)
    raise ApiError(415, "content_type", f"the content type must be {MULTIPART if uploads else URLENCODED}")


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
