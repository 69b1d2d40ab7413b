"""Options of a location as its provider wants them: what is wrong is named by its key."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from amasia import errors
from amasia.models.locations import Place

Text = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=4000)]
"""On one line."""
Variables = dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], Text]
"""Of the environment of everything that is started on a machine."""


class Options(BaseModel):
    """Base of every provider's options. Unlike a noun's, a key that is not known is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def read[O: Options](model: type[O], place: Place, provider: str) -> O:
    """The options of a place.

    Raises
    ------
    InvalidRequest
        One is missing, unknown or wrong.
    """
    try:
        return model.model_validate(place.options)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise errors.InvalidRequest(
            f"The option {key!r} of location {place.name!r}: {problem['msg']}.",
            cure=f"Its keys are {', '.join(sorted(model.model_fields))}; see docs/how-to/connect-{provider}.md.",
        ) from None


def check_secrets(place: Place, *, together: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> None:
    """Refuse secrets that are not known, and some without the others.

    A location with any secret acts by its own keys and never as the control plane: who may bring keys may not borrow
    its identity.

    Raises
    ------
    InvalidRequest
    """
    given = set(place.secrets)
    unknown = given - {*together, *optional}
    missing = {key for key in together if not place.secrets.get(key, "").strip()} if given else set()
    if unknown or missing:
        what = f"unknown: {', '.join(sorted(unknown))}" if unknown else f"missing: {', '.join(sorted(missing))}"
        raise errors.InvalidRequest(
            f"The secrets of location {place.name!r} are not right ({what}).",
            cure=f"Under [secrets] give {' and '.join(together)}"
            + (f", and perhaps {' and '.join(optional)}." if optional else "."),
        )
