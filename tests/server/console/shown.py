"""The console over the sample company, to look at: `python -m tests.server.console.shown`. Ctrl-C ends it.

Says its address, and for each role a cookie that is signed in. Its folder goes with it.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from pathlib import Path

from server.accounts.session_types import COOKIE
from server.people.roles import Role
from tests.server.console.company import CompanySite


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        site = CompanySite(Path(folder))
        sys.stdout.write(f"{site.url}\n")
        for role in Role:
            sys.stdout.write(f"{role.value}: {COOKIE}={site.cookie(role)}\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            site.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
