"""Classic BPF on a netlink socket: what Leaver must not or need not see is dropped inside the kernel."""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Sequence
from typing import Final

_SO_ATTACH_FILTER: Final = 26
_LOAD_HALF: Final = 0x28
_LOAD_WORD: Final = 0x20
_EQUAL: Final = 0x15
_EQUAL_TO_INDEX: Final = 0x1D
_LOAD_LENGTH: Final = 0x80
_AT_LEAST: Final = 0x35
_SUBTRACT: Final = 0x14
_TO_INDEX: Final = 0x07
_LOAD_WORD_BEHIND_INDEX: Final = 0x40

Instruction = tuple[int, int, int, int]
"""Operation, how many instructions to skip if true, how many if not, operand."""

RETURN_ALL: Final[Instruction] = (0x06, 0, 0, 0xFFFF_FFFF)
RETURN_NONE: Final[Instruction] = (0x06, 0, 0, 0)


def load_half(offset: int) -> Instruction:
    """Loads 16 bits of the message. Netlink is in host order, the filter reads in network order."""
    return _LOAD_HALF, 0, 0, offset


def load_word(offset: int) -> Instruction:
    """Loads 32 bits of the message."""
    return _LOAD_WORD, 0, 0, offset


def if_half(value: int, then: int, otherwise: int) -> Instruction:
    """Skips `then` instructions if the loaded 16 bits, in host order, are `value`, else `otherwise`."""
    return _EQUAL, then, otherwise, socket.htons(value)


def if_word(value: int, then: int, otherwise: int) -> Instruction:
    """The same for 32 bits."""
    return _EQUAL, then, otherwise, socket.htonl(value)


def if_same_words(first: int, second: int, then: int, otherwise: int) -> list[Instruction]:
    """Skips `then` instructions if the 32 bits at both offsets are the same, else `otherwise`."""
    return [load_word(first), (_TO_INDEX, 0, 0, 0), load_word(second), (_EQUAL_TO_INDEX, then, otherwise, 0)]


def drop_what_ends_with(ending: bytes) -> list[Instruction]:
    """Drops a message that ends so; what follows these instructions sees the others."""
    words = [ending[at : at + 4] for at in range(0, len(ending) - 3, 4)]
    steps: list[Instruction] = [
        (_LOAD_LENGTH, 0, 0, 0),
        (_AT_LEAST, 0, 2 * len(words) + 3, len(ending)),
        (_SUBTRACT, 0, 0, len(ending)),
        (_TO_INDEX, 0, 0, 0),
    ]
    for at, word in enumerate(words):
        to_the_end = 2 * (len(words) - at) - 1
        steps.append((_LOAD_WORD_BEHIND_INDEX, 0, 0, 4 * at))
        steps.append((_EQUAL, 0, to_the_end, int.from_bytes(word, "big")))
    return [*steps, RETURN_NONE]


def attach(to: socket.socket, program: Sequence[Instruction]) -> None:
    """Runs the program on each message before it is queued. OSError where the kernel refuses."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    to.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code))
    )
