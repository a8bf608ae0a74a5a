"""An HR file, CSV or XLSX, as rows of named cells."""

from __future__ import annotations

from server.people.csv_encoding import UnreadableFile
from server.people.csv_table import FILE_BYTES_MAX, read_csv
from server.people.hr_columns import Table
from server.people.import_mapping import ImportMapping
from server.people.xlsx_table import is_workbook, read_workbook

_OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def read_table(data: bytes, *, mapping: ImportMapping | None = None, encoding: str | None = None) -> Table:
    """Raises UnreadableFile; nothing is known of the file then."""
    mapping = mapping or ImportMapping()
    if len(data) > FILE_BYTES_MAX:
        raise UnreadableFile(f"the file is {len(data)} bytes, more than {FILE_BYTES_MAX}")
    if is_workbook(data):
        return read_workbook(data, sheet=mapping.sheet, skip_lines=mapping.skip_lines, names=mapping.names())
    if data.startswith(_OLD_EXCEL):
        raise UnreadableFile("an .xls file of the old kind, or one with a password: save it as .xlsx or CSV")
    return read_csv(
        data,
        encoding=encoding or mapping.encoding,
        delimiter=mapping.delimiter,
        skip_lines=mapping.skip_lines,
        names=mapping.names(),
    )
