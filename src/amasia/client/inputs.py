"""What people write, as what the wire takes; refused here where it cannot be meant."""

from typing import Any

from pydantic import BaseModel, ValidationError

from amasia.errors import InvalidRequest
from amasia.models import money


def amount(value: str | int) -> int:
    """Micro-units of ``"12.50"`` or of whole units. No floats: 0.1 is none of them."""
    if not isinstance(value, str | int):
        raise InvalidRequest(f"{value!r} is no amount of money.", cure='Write it as text: "12.50".')
    try:
        return money.parse(str(value))
    except ValueError as error:
        raise InvalidRequest(f"{error}.", cure="For example: amasia budget set 12.50") from None


def request[M: BaseModel](model: type[M], **fields: Any) -> M:
    """A request's body; a field that cannot be is refused here, before anything is sent."""
    try:
        return model(**fields)
    except ValidationError as error:
        raise InvalidRequest(_sentence(error), cure=f"See the parameters of {model.__name__}.") from None


def _sentence(error: ValidationError) -> str:
    parts = []
    for found in error.errors(include_url=False):
        where = ".".join(str(step) for step in found["loc"])
        text = found["msg"].removeprefix("Value error, ")
        secret = {"password", "old", "new", "secret_key", "account_key", "secrets", "value"} & set(found["loc"])
        parts.append(f"{where}: {text}{'' if secret else f' (got {found["input"]!r})'}" if where else text)
    return "; ".join(parts) + "."
