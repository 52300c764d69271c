"""Protobuf hands out strings that are not UTF-8 as bytes; a file that holds one is damaged."""

from __future__ import annotations

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message


def broken_text(message: Message) -> str:
    """Name of the first string field, anywhere in the message, that is not text; "" where all are."""
    for field, value in message.ListFields():
        items = value if field.is_repeated else (value,)
        if field.type == FieldDescriptor.TYPE_STRING:
            if not all(isinstance(item, str) for item in items):
                return str(field.name)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for item in items:
                if found := broken_text(item):
                    return found
    return ""
