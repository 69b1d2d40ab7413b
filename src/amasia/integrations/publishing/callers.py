"""Who may read what is not public: whoever the control plane lets read it, asked with their own token."""

import base64
import binascii
import hashlib
import time
from collections import OrderedDict

from amasia import errors
from amasia.client.transport import Connection
from amasia.models.publications import Publication

KEPT = 30.0
"""Seconds that a yes is good for: whoever loses the right reads on for so long at most."""
MOST = 10_000


class Callers:
    def __init__(self, url: str) -> None:
        self._url = url
        self._yes: OrderedDict[tuple[str, str], float] = OrderedDict()

    def check(self, publication: Publication, authorization: str) -> None:
        """Raise unless this caller may read it.

        Raises
        ------
        NotSignedIn, NotFound, PermissionDenied
            As the control plane has it.
        """
        if publication.public:
            return
        token = secret(authorization)
        if not token:
            raise errors.NotSignedIn(
                f"{publication.full_name} is not public.",
                cure="Send a token of yours as a bearer token, or as the password of any name.",
            )
        key = (publication.repository_id, hashlib.sha256(token.encode()).hexdigest())
        if self._yes.get(key, 0) > time.monotonic():
            return
        link = Connection(self._url, token)
        try:
            link.get(
                f"/v1/workspaces/{publication.workspace}/repositories/{publication.repository}/publication", Publication
            )
        finally:
            link.close()
        self._yes[key] = time.monotonic() + KEPT
        while len(self._yes) > MOST:
            self._yes.popitem(last=False)


def secret(authorization: str) -> str:
    """The token of a header: a bearer token, or the password of those tools that know only passwords."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip() if rest.isascii() else ""
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(rest, validate=True).decode("ascii").partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
