"""A second S3 server: moto's, with threads, and with the policies of lent credentials kept.

moto writes down the policy that credentials are lent with and does not ask it; a bucket of such a store is refused, and
rightly. So it is asked here, in front of moto: ``python -m show.second_store PORT``.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.sts.models import sts_backends
from werkzeug.serving import run_simple

_KEY = re.compile(r"Credential=([^/,]+)/")
_OBJECT = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "POST": "s3:PutObject",
           "DELETE": "s3:DeleteObject"}  # fmt: skip
_DENIED = b"<Error><Code>AccessDenied</Code><Message>Not allowed by the policy of these credentials.</Message></Error>"

type Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def guarded(app: Application) -> Application:
    """Refuse what the policy of the request's credentials does not allow."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        policy, query = policy_of(environ.get("HTTP_AUTHORIZATION", "")), parse_qs(environ["QUERY_STRING"], True)
        if allows(policy, environ["REQUEST_METHOD"], environ["PATH_INFO"], query):
            return app(environ, start)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(_DENIED)))])
        return [_DENIED]

    return answer


def policy_of(authorization: str) -> dict[str, Any] | None:
    """What lent credentials were lent for; None for the broker's own keys."""
    found = _KEY.search(authorization)
    lent = {role.access_key_id: role.policy for backends in sts_backends.values() for backend in backends.values()
            for role in backend.assumed_roles}  # fmt: skip
    policy = lent.get(found[1]) if found else None
    return json.loads(policy) if policy else None


def allows(policy: dict[str, Any] | None, method: str, path: str, query: Mapping[str, list[str]]) -> bool:
    """Of requests on objects; a bucket is listed by those whose policy lists it, below the prefix that it names."""
    if policy is None:
        return True
    _, _, key = path.lstrip("/").partition("/")
    if method == "POST" and not key:  # many are deleted at once; which, is in the body
        return any("s3:DeleteObject" in statement["Action"] for statement in policy["Statement"])
    listed = "s3:ListBucketVersions" if "versions" in query else "s3:ListBucket"
    wanted, resource = _OBJECT[method] if key else listed, f"arn:aws:s3:::{path.strip('/')}"
    return any(
        wanted in statement["Action"]
        and any(fnmatchcase(resource, pattern) for pattern in statement["Resource"])
        and (bool(key) or _below(statement, query.get("prefix", [""])[0]))
        for statement in policy["Statement"]
    )


def _below(statement: Mapping[str, Any], prefix: str) -> bool:
    patterns = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix", ["*"])
    return any(fnmatchcase(prefix, pattern) for pattern in patterns)


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), guarded(DomainDispatcherApplication(create_backend_app)), threaded=True)
