"""Protobuf text format, read quickly.

protobuf's own Python reader needs most of a second for the text of a training graph. TensorFlow writes a narrow dialect
of the format, which a single regular expression reads six times faster. Anything outside that dialect, and every error,
is left to protobuf's reader, which knows the whole format and tells line numbers.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, TypeVar

from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

MessageT = TypeVar("MessageT", bound=Message)

_STRING = r'"[^"\\\n]*(?:\\[0-3nrt"\'\\][^"\\\n]*)*"'  # with the escapes that TensorFlow writes
_SCALAR = rf"({_STRING}|[-+.\w]+)"
# `}`, `name: scalar`, `name {`, `name { key: scalar value: scalar }` and `name { key: scalar value {`
_ENTRY = rf"\s*key\s*:\s*{_SCALAR}\s*value\s*(?::\s*{_SCALAR}\s*}}|{{)"
_TOKEN = re.compile(rf"\s*(?:([a-z]\w*)\s*(?::\s*{_SCALAR}|{{(?:{_ENTRY})?)|}})")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")


class _Unusual(Exception):
    """The text is outside the narrow dialect (or wrong): protobuf's own reader decides."""


def parse_text(text: str, message_type: type[MessageT]) -> MessageT:
    """The message that `text` spells.

    Raises `google.protobuf.text_format.ParseError`, with line and column, if it spells none.
    """
    try:
        return _parse_dialect(text, message_type())
    except (_Unusual, ValueError, TypeError):
        try:
            return text_format.Parse(text, message_type())
        except (RecursionError, UnicodeError) as error:
            raise text_format.ParseError(str(error)) from error


class _Field(NamedTuple):
    """How one field of a message type is read."""

    once: str  # what may occur only once in a message: the field or its oneof; "" for repeated fields
    convert: Callable[[str], Any] | None  # token -> value; None for messages
    key: Callable[[str], Any] | None  # of a map: token -> key
    repeated: bool


@cache
def _fields(descriptor: Descriptor) -> dict[str, _Field]:
    """The fields of a message type by name."""
    return {field.name: _field(field) for field in descriptor.fields}


def _field(field: FieldDescriptor) -> _Field:
    """How the field is read."""
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        key, value = message.fields_by_name["key"], message.fields_by_name["value"]
        return _Field("", _converter(value), _converter(key), False)
    repeated = _is_repeated(field)
    once = "" if repeated else (field.containing_oneof or field).name
    return _Field(once, _converter(field), None, repeated)


def _is_repeated(field: FieldDescriptor) -> bool:
    """protobuf 5 tells it by the label alone, protobuf 7 by the property alone."""
    if hasattr(field, "is_repeated"):
        return field.is_repeated
    return field.label == FieldDescriptor.LABEL_REPEATED  # type: ignore[attr-defined]


def _converter(field: FieldDescriptor) -> Callable[[str], Any] | None:
    """From a token to the value of a scalar field; None for a message."""
    if field.message_type is not None:
        return None
    if field.enum_type is not None:
        numbers = {value.name: value.number for value in field.enum_type.values}
        return lambda token: numbers[token] if token in numbers else _refuse(token)
    return {
        FieldDescriptor.TYPE_STRING: _string,
        FieldDescriptor.TYPE_BYTES: _bytes,
        FieldDescriptor.TYPE_BOOL: _bool,
        FieldDescriptor.TYPE_FLOAT: _decimal,
        FieldDescriptor.TYPE_DOUBLE: _decimal,
    }.get(field.type, _integer)


def _refuse(token: str) -> Any:
    raise _Unusual(token)


def _integer(token: str) -> int:
    return int(token) if _INTEGER.fullmatch(token) else _refuse(token)


def _decimal(token: str) -> float:
    return float(token) if _DECIMAL.fullmatch(token) else _refuse(token)


def _bool(token: str) -> bool:
    return token == "true" if token in ("true", "false") else _refuse(token)


def _bytes(token: str) -> bytes:
    if token[0] != '"':
        _refuse(token)
    data = token[1:-1].encode()
    return codecs.escape_decode(data)[0] if b"\\" in data else data


def _string(token: str) -> str:
    if token[0] != '"':
        _refuse(token)
    return _bytes(token).decode()


def _parse_dialect(text: str, root: MessageT) -> MessageT:
    """Fill `root` from text in TensorFlow's own dialect; `_Unusual` for anything else."""
    message: Any = root
    fields, seen = _fields(root.DESCRIPTOR), set[str]()
    outer: list[tuple[Any, dict[str, _Field], set[str]]] = []
    end = 0
    for token in _TOKEN.finditer(text):
        if token.start() != end:
            raise _Unusual
        end = token.end()
        name, scalar, key, value = token.groups()
        if name is None:
            if not outer:
                raise _Unusual
            message, fields, seen = outer.pop()
            continue
        field = fields.get(name)
        if field is None or field.once in seen or (field.key is None) != (key is None):
            raise _Unusual
        if field.once:
            seen.add(field.once)
        if field.key is not None:
            entries, key = getattr(message, name), field.key(key)
            if key in entries or (field.convert is None) != (value is None):
                raise _Unusual
            if field.convert is not None:
                entries[key] = field.convert(value)
                continue
            outer += (message, fields, seen), (None, {}, set())  # the map entry closes with a brace of its own
            message = entries[key]
        elif field.convert is not None:
            if scalar is None:
                raise _Unusual
            if field.repeated:
                getattr(message, name).append(field.convert(scalar))
            else:
                setattr(message, name, field.convert(scalar))
            continue
        else:
            if scalar is not None:
                raise _Unusual
            outer.append((message, fields, seen))
            message = getattr(message, name)
            if field.repeated:
                message = message.add()
            else:
                message.SetInParent()
        fields, seen = _fields(message.DESCRIPTOR), set()
    if outer or text[end:].strip():
        raise _Unusual
    return root
