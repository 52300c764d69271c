"""Ways to damage bytes and messages at random."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

LARGEST = (1 << 31) - 1


def mutated(chance: random.Random, data: bytes) -> bytes:
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        at, size = chance.randrange(len(found) + 1), chance.choice((1, 1, 4, 16, 100))
        match chance.randrange(6):
            case 0 if at < len(found):
                found[at] ^= 1 << chance.randrange(8)
            case 1:
                found[at : at + size] = chance.randbytes(size)
            case 2:
                del found[at : at + size]
            case 3:
                found[at:at] = found[at : at + size]
            case 4:
                source = chance.randrange(len(found) + 1)
                found[at:at] = found[source : source + size]
            case 5:
                found[at:at] = chance.choice(
                    (b"../", b"\0", b"/etc/", b"\xff" * 8, b"NaN", b"1e999", b'"', b"[" * 5000)
                )
    return bytes(found)


def mutated_model(chance: random.Random, data: bytes) -> bytes:
    """Half of them as bytes, which a reader of messages mostly refuses at once; half with changed fields."""
    if chance.random() < 0.5:
        return mutated(chance, data)
    model = onnx.ModelProto.FromString(data)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        message = chance.choice(list(_messages(model)))
        filled = message.ListFields()
        if filled:
            field, value = chance.choice(filled)
            if isinstance(value, str | bytes | int | float):
                setattr(message, field.name, _changed(chance, value, field))
            elif isinstance(value, Message):
                message.ClearField(field.name)
            else:
                _change_list(chance, value, field)
    return bytes(model.SerializeToString())


def _messages(message: Message) -> Iterator[Message]:
    """The message and all in it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for item in [value] if isinstance(value, Message) else value:
                yield from _messages(item)


def _change_list(chance: random.Random, items: Any, field: FieldDescriptor) -> None:
    """One entry gone, twice there, at another place, or changed."""
    at, to = chance.randrange(len(items)), chance.randrange(len(items))
    found = [type(item).FromString(item.SerializeToString()) if isinstance(item, Message) else item for item in items]
    match chance.randrange(4):
        case 0:
            del found[at]
        case 1:
            found.append(found[at])
        case 2:
            found[at], found[to] = found[to], found[at]
        case 3 if not isinstance(found[at], Message):
            found[at] = _changed(chance, found[at], field)
    del items[:]
    items.extend(found)


def _changed(chance: random.Random, value: str | bytes | int | float, field: FieldDescriptor) -> Any:
    if field.enum_type is not None:
        return chance.choice(field.enum_type.values).number
    match value:
        case str():
            return mutated(chance, value.encode()).decode(errors="replace")
        case bytes():
            return mutated(chance, value)
        case float():
            return chance.choice((float("nan"), float("inf"), -value, 0.0, 1e38, 1e-40))
    # All whole numbers of ONNX files are signed; some have 32 bits.
    return min(chance.choice((0, 1, -1, value + 1, value - 1, -value, 1000, LARGEST)), LARGEST)
