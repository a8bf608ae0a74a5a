"""Rules and exceptions as texts, to be changed by tests."""

from __future__ import annotations

RULE = "0f4d1c0e-95a5-4d8f-b3c4-1c6f8f5d7a10"
EXCEPTION = "5f0c9e0e-5f5a-4a52-8f9e-0d1b6a0d3c11"
COPIED = f"""\
title: A spreadsheet to removable storage
id: {RULE}
status: test
description: For tests.
logsource:
  product: leaver
  service: removable_storage
detection:
  copy:
    class_uid: 1001
    file.ext: xlsx
  condition: copy
level: medium
leaver:
  family: removable_storage_copy
  runbook: Look at it.
tests:
  firing:
    - name: a spreadsheet
      record: file_copied
      with: {{file.ext: XLSX}}
  silent:
    - name: a picture
      record: file_copied
"""
BUILD_SERVER = f"""\
title: The build server keeps its own copies
id: {EXCEPTION}
logsource:
  product: leaver
filter:
  rules: [{RULE}]
  build_server:
    device.hostname: build-1
  condition: not build_server
leaver:
  owner: lin
  reason: Nightly copies, change 4711
  until: 2026-12-31
"""
"""It ends at ENDS."""
ENDS = 1_798_761_600_000
MANY = "2f4d1c0e-95a5-4d8f-b3c4-1c6f8f5d7a10"
MANY_COPIED = f"""\
title: Many spreadsheets in a day
id: {MANY}
status: test
description: For tests.
correlation:
  type: event_count
  rules: [copied]
  timespan: 1d
  condition:
    gte: 3
level: high
leaver:
  family: removable_storage_copy
  runbook: Look at them.
tests:
  firing:
    - name: three
      events: [{{record: file_copied, at: 1h, times: 3, every: 1m, with: {{file.ext: xlsx}}}}]
  silent:
    - name: two
      events: [{{record: file_copied, at: 1h, times: 2, every: 1m, with: {{file.ext: xlsx}}}}]
"""
"""Of the rule COPIED, if that is named `copied`."""
