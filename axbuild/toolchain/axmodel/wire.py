"""As much of protobuf's wire format as `extra_data` needs; its schema is not public, so there is no .proto."""

from __future__ import annotations

Value = int | str | bytes
Message = list[tuple[int, Value]]
"""(field number, value) in the order of the bytes; a nested message is bytes"""


class WireError(ValueError):
    """Bytes that are no protobuf message of integers and length-delimited fields."""


def encode(message: Message) -> bytes:
    """Varints for integers that are not negative, length-delimited bytes for the rest."""
    out = bytearray()
    for number, value in message:
        if isinstance(value, int):
            out += _varint(number << 3) + _varint(value)
        else:
            content = value.encode() if isinstance(value, str) else value
            out += _varint(number << 3 | 2) + _varint(len(content)) + content
    return bytes(out)


def decode(content: bytes) -> Message:
    """The fields of a message; raises WireError."""
    message: Message = []
    position = 0
    while position < len(content):
        tag, position = _read_varint(content, position)
        value, position = _read_varint(content, position)
        if tag & 7 == 0:
            message.append((tag >> 3, value))
        elif tag & 7 == 2 and position + value <= len(content):
            message.append((tag >> 3, content[position : position + value]))
            position += value
        else:
            raise WireError(f"field {tag >> 3} is not whole")
    return message


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(content: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if position >= len(content):
            break
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise WireError("a number is cut off or longer than 64 bits")
