"""A trait in plain words, the same wherever alerts are shown. Pure; whatever names people comes in masked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from server.alerts.traits import AlertTrait, TraitKind

_THINGS: Final[dict[TraitKind, tuple[str, str]]] = {
    "machine": ("machine", "计算机"),
    "device": ("device", "设备"),
    "address": ("address", "地址"),
    "key": ("key", "密钥"),
    "other": ("trait", "特征"),
}


def trait_words(
    trait: AlertTrait, *, value: str | None, leads_to: str | None, through: str | None, time_zone: str | None
) -> dict[str, str]:
    """By language. value, leads_to, through: as they may be shown. time_zone: of whom it leads to."""
    zone = ZoneInfo(time_zone or "UTC")
    return {
        "en": _english(trait, value, leads_to, through, zone),
        "zh": _chinese(trait, value, leads_to, through, zone),
    }


def _english(
    trait: AlertTrait, value: str | None, whose: str | None, through: str | None, zone: ZoneInfo
) -> str:
    if trait.kind == "own_account":
        return f"own account: {_events(trait)}"
    if trait.kind == "unknown_account":
        return f"an account that belongs to nobody known: {_events(trait)}"
    account = f" under the account of {through}" if through else ""
    if trait.kind == "password":
        used = _span(trait, zone, " (used it {})", " to ")
        return f"password known to {whose or 'somebody who left'}{used}: {_events(trait)}{account}"
    thing = f"{_THINGS[trait.kind][0]} {value}" if value else _THINGS[trait.kind][0]
    used = _span(trait, zone, " {}", " to ")
    others = ""
    if trait.others is not None:
        others = (
            ", nobody else ever"
            if trait.others == 0
            else f", and {trait.others} other{'s' if trait.others > 1 else ''}"
        )
    return f"{thing}, used by {whose or 'somebody who left'}{used}{others}: {_events(trait)}{account}"


def _chinese(
    trait: AlertTrait, value: str | None, whose: str | None, through: str | None, zone: ZoneInfo
) -> str:
    events = f"{trait.events} 个事件"
    if trait.kind == "own_account":
        return f"本人账号：{events}"
    if trait.kind == "unknown_account":
        return f"不属于任何已知人员的账号：{events}"
    person = whose or "已离职人员"
    account = f"，使用 {through} 的账号" if through else ""
    if trait.kind == "password":
        return f"{person} 知道密码{_span(trait, zone, '（{} 使用过）', ' 至 ')}：{events}{account}"
    thing = f"{_THINGS[trait.kind][1]} {value}" if value else _THINGS[trait.kind][1]
    others = ""
    if trait.others is not None:
        others = "，其他人从未使用" if trait.others == 0 else f"，另有 {trait.others} 人使用过"
    return f"{thing}，{person} {_span(trait, zone, '{} ', ' 至 ')}使用过{others}：{events}{account}"


def _events(trait: AlertTrait) -> str:
    return f"{trait.events:,} event{'' if trait.events == 1 else 's'}"


def _span(trait: AlertTrait, zone: ZoneInfo, pattern: str, between: str) -> str:
    days = [_day(time, zone) for time in (trait.since, trait.until) if time is not None]
    if not days:
        return ""
    return pattern.format(days[0] if days[0] == days[-1] else between.join(days))


def _day(time: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).astimezone(zone).date().isoformat()
