"""The words in which HR files say how somebody leaves and what kind of employment it is."""

from __future__ import annotations

from typing import Final

from server.people.facts import EmploymentKind, LeavingType
from server.people.hr_columns import header_key

_LEAVING_TYPES: Final[dict[LeavingType, str]] = {
    "resigned": "resigned resignation voluntary quit employeeresignation "
    "辞职 主动离职 自愿离职 個人辭職 个人原因",
    "dismissed": "dismissed dismissal terminated termination fired involuntary laidoff redundancy layoff "
    "辞退 开除 解雇 被动离职 裁员 解除合同 单位解除",
    "end_of_contract": "endofcontract contractend contractended expired retirement retired probationfailed "
    "合同到期 合同终止 期满 退休 试用期不合格 实习结束",
    "partner_end": "partnerend projectend vendorend 合作结束 项目结束 外包结束 退场",
}
_KINDS: Final[dict[EmploymentKind, str]] = {
    "employee": "employee permanent regular fulltime parttime staff intern internal fte "
    "正式 正式员工 正式工 员工 全职 兼职 实习 实习生 合同工 内部",
    "partner": "partner contractor external vendor consultant agency temp thirdparty supplier "
    "外包 外包人员 供应商 合作伙伴 劳务派遣 派遣 外部 顾问",
}
LEAVING_TYPE_OF: Final[dict[str, LeavingType]] = {
    word: meaning for meaning, words in _LEAVING_TYPES.items() for word in words.split()
}
KIND_OF: Final[dict[str, EmploymentKind]] = {
    word: meaning for meaning, words in _KINDS.items() for word in words.split()
}


def leaving_type_of(written: str) -> LeavingType | None:
    """None: no word that is known."""
    return LEAVING_TYPE_OF.get(header_key(written))


def kind_of(written: str) -> EmploymentKind | None:
    """None: no word that is known."""
    return KIND_OF.get(header_key(written))
