"""What a busy endpoint reports, without end: event n is always the same, whoever asks and whenever.

Two people copy trees of files to sticks, as full events as the removable-storage collector makes them: user,
program, path of several folders, size, SHA-256, device. Names are as long and as various as in a company's
shares (words of two languages, dates, versions, camera and scanner numbers), for they decide how small a
spool can be made; a digest cannot be made smaller than its 32 bytes at all.
"""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime
from functools import cache, lru_cache

import msgspec

from event_schema.ocsf_events import Event, FileActivity, event_metadata, file_system_activity
from event_schema.ocsf_objects import (
    Actor,
    DriveType,
    Executable,
    File,
    FileType,
    Fingerprint,
    HashAlgorithm,
    Host,
    Metadata,
    PeripheralDevice,
    PeripheralType,
    Process,
    User,
)
from event_schema.ocsf_unmapped import Evidence, Unmapped

# fmt: off
_WORDS = [
    "invoice", "budget", "minutes", "contract", "draft", "offer", "price_list", "customers", "forecast",
    "Angebot", "Rechnung", "Protokoll", "Entwurf", "Kunden", "Planung", "Muster", "Zeichnung", "Pruefbericht",
    "客户名单", "会议纪要", "合同", "报价单", "财务报表",
    "项目计划", "供应商", "设计图", "产品目录", "培训材料", "测试报告",
    "index", "main", "handler", "service", "model", "schema", "Button", "Table", "parser", "utils_test",
    "routes",
]
_FOLDERS = [
    "Projects", "Sales", "2024", "2025", "2026", "archive", "shared", "old", "finance", "hr", "export", "src",
    "Kunden", "Vertrieb", "项目", "销售部", "财务",
    "归档", "备份", "scans", "photos", "release", "docs", "drawings",
]
_ENDINGS = [
    "xlsx", "docx", "pdf", "pptx", "jpg", "png", "csv", "zip", "dwg", "tsx", "py", "txt", "mp4", "eml",
]
# fmt: on
_PEOPLE = (("mei.zhang", "1501", "4C530001120518", "Ultra"), ("jonas.weber", "1502", "60A44C3FACC9", "DT"))
_TREE_FILES = 400
"""So many files lie beside each other before the next folder comes."""


class _Tree(msgspec.Struct, frozen=True):
    """What the files of one folder have in common."""

    actor: Actor
    folder: str
    volume: str
    unmapped: Unmapped
    metadata: Metadata


def busy_event(number: int, time: int, host: Host, version: str) -> Event:
    """Event `number`, at `time` (ms UTC)."""
    tree = _tree(number // _TREE_FILES, version)
    digest = hashlib.sha256(b"%d" % number).digest()
    # What the digest does not say by itself: one seeding of a generator would cost as much as all the rest.
    dice = int.from_bytes(digest[:16])
    ending = _ENDINGS[dice % len(_ENDINGS)]
    name = f"{_stem(dice >> 8, time)}.{ending}"
    return file_system_activity(
        FileActivity.CREATE,
        time=time,
        metadata=tree.metadata,
        actor=tree.actor,
        device=host,
        file=File(
            name=name,
            type_id=FileType.REGULAR,
            path=f"{tree.folder}/{name}",
            ext=ending,
            size=(dice >> 40) % 1000 ** (1 + (dice >> 36) % 3) + 1,
            hashes=(Fingerprint(algorithm_id=HashAlgorithm.SHA_256, value=digest.hex()),),
            drive_type_id=DriveType.REMOVABLE,
            volume=tree.volume,
        ),
        unmapped=tree.unmapped,
    )


@lru_cache(8)
def _tree(number: int, version: str) -> _Tree:
    dice = random.Random(number)
    account, uid, serial, volume = dice.choice(_PEOPLE)
    folders = "/".join(dice.choices(_FOLDERS, k=dice.randint(1, 4)))
    return _Tree(
        actor=Actor(
            user=User(name=account, uid=uid),
            process=Process(
                pid=3000 + dice.randrange(50_000),
                name="nautilus",
                file=Executable(name="nautilus", type_id=FileType.REGULAR, path="/usr/bin/nautilus"),
                auid=int(uid),
            ),
        ),
        folder=f"/media/{account}/{volume}/{folders}",
        volume=volume,
        unmapped=Unmapped(
            evidence=Evidence(fidelity="exact", observed_by="fanotify_fid", actor_from="audit"),
            peripheral_device=PeripheralDevice(
                name=f"SanDisk {volume}",
                type_id=PeripheralType.EXTERNAL_STORAGE,
                uid=f"0781:5581:{serial}",
                serial_number=serial,
                vendor_name="SanDisk",
                model=volume,
            ),
        ),
        metadata=event_metadata("removable_storage", version),
    )


def _stem(dice: int, time: int) -> str:
    words = [_WORDS[(dice >> 8 * place) % len(_WORDS)] for place in range(1 + dice % 3)]
    number = dice >> 32
    match number % 4:
        case 0:
            return f"IMG_{_day(time, number)}_{number % 240_007:06}"
        case 1:
            return f"{'_'.join(words)}_{_day(time, number)}"
        case 2:
            return f"{' '.join(words)} v{number % 9 + 1}"
        case _:
            return f"{words[0]}-{number % 10_007:04}"


def _day(time: int, number: int) -> str:
    return _written(time // 86_400_000 - number % 397)


@cache
def _written(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y%m%d")
