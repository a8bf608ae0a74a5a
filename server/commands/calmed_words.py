"""How the command line words what a verdict calmed."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from analytics.anomaly_words import LABELS, amount
from analytics.calmed_day import CALM_DAYS
from server.alerts.calming import accepted_in

_CALMED_SHOWN: Final = 4


def calmed_words(facts: dict[str, Any]) -> str:
    """What a verdict of harmless makes usual, and until when; empty for none."""
    accepted = [each for each in accepted_in(facts) if f"{each.activity}.{each.measure}" in LABELS]
    if not accepted:
        return ""
    last = max(each.day for each in accepted)
    told = [amount(each.activity, each.measure, each.value) for each in accepted if each.day == last]
    more = "" if len(told) <= _CALMED_SHOWN else f" and {len(told) - _CALMED_SHOWN} more"
    until = date.fromordinal(last + CALM_DAYS).isoformat()
    what = ", ".join(told[:_CALMED_SHOWN])
    return f"until {until} about as much counts as usual for the same person: {what}{more}"
