"""A small server that answers as Google Cloud Storage does, with Google's two token services beside it.

What it keeps to is what it is for: preconditions on generations, and rights. A service account's assertion is checked
against its public key; a token is cut down by the access boundary that was asked for, whose roles and conditions hold
for every request; a token ends. Objects are kept in memory. It is no proof of what Google does: it is what Google's
documentation says, as far as Icechunk, obstore and Amasia ask for it.
"""

import hashlib
import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

ACCOUNT = "amasia@project.iam.gserviceaccount.com"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
AUDIENCE = "https://oauth2.googleapis.com/token"
"""Of assertions, wherever they are sent."""
_HOUR = 3600

GET, LIST, CREATE, DELETE = "objects.get", "objects.list", "objects.create", "objects.delete"
ROLES = {
    "inRole:roles/storage.legacyObjectReader": {GET},
    "inRole:roles/storage.legacyBucketWriter": {LIST, CREATE, DELETE, "buckets.get", "multipartUploads.create"},
    "inRole:roles/storage.objectViewer": {GET, LIST},
    "inRole:roles/storage.objectCreator": {CREATE, "multipartUploads.create"},
}
"""As the documentation lists them, without what nothing here asks for."""
_NAME = re.compile(r"resource\.name\.startsWith\('([^'\\]*)'\)")
_LISTED = re.compile(r"api\.getAttribute\('storage\.googleapis\.com/objectListPrefix', ''\)\.startsWith\('([^'\\]*)'\)")


@dataclass(frozen=True)
class Rule:
    resource: str
    rights: frozenset[str]
    names: tuple[str, ...]
    """Of objects, what they may begin with."""
    listed: tuple[str, ...]
    """Of lists, what their prefix may begin with."""

    def allows(self, right: str, bucket: str, key: str, prefix: str) -> bool:
        if self.resource != f"//storage.googleapis.com/projects/_/buckets/{bucket}" or right not in self.rights:
            return False
        name = f"projects/_/buckets/{bucket}" + (f"/objects/{key}" if key else "")
        return any(name.startswith(one) for one in self.names) or (
            right == LIST and any(prefix.startswith(one) for one in self.listed)
        )


@dataclass(frozen=True)
class Token:
    ends: float
    rules: tuple[Rule, ...] | None = None
    """None for all that the account may."""


@dataclass(frozen=True)
class Object:
    body: bytes
    generation: int
    metadata: dict[str, str]
    at: float

    @property
    def tag(self) -> str:
        return f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


@dataclass
class GoogleStorage:
    """The server, listening on a free port of loopback from `start` to `stop`.

    Attributes
    ----------
    buckets
        By name: the objects, by key.
    """

    buckets: dict[str, dict[str, Object]] = field(default_factory=lambda: {"lake": {}})
    seconds: float = _HOUR
    """How long a token lasts."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    tokens: dict[str, Token] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    generation: int = 1_700_000_000_000_000
    conditional: bool = True
    """Whether preconditions are kept to: a store that does not is found out at registration."""

    def __post_init__(self) -> None:
        self._private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.public = self._private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def start(self) -> None:
        handler = type("Handler", (_Handler,), {"cloud": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def key(self) -> str:
        """A service account's key, as Google gives it out."""
        private = self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        return json.dumps({
            "type": "service_account", "project_id": "project", "private_key_id": "1", "private_key": private,
            "client_email": ACCOUNT, "client_id": "1", "token_uri": f"{self.endpoint}/token",
        })  # fmt: skip

    def give(self, rules: tuple[Rule, ...] | None, ends: float) -> str:
        token = f"ya29.{secrets.token_urlsafe(24)}"
        self.tokens[token] = Token(ends, rules)
        return token


class Refused(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


def boundary(options: str) -> tuple[Rule, ...]:
    """What an access boundary says; anything that is not understood here is refused, never let pass."""
    rules = []
    for rule in json.loads(options)["accessBoundary"]["accessBoundaryRules"]:
        rights: set[str] = set()
        for role in rule["availablePermissions"]:
            if role not in ROLES:
                raise Refused(400, f"invalid role {role}")
            rights |= ROLES[role]
        expression = rule.get("availabilityCondition", {}).get("expression", "resource.name.startsWith('')")
        names, listed = [], []
        for term in expression.split(" || "):
            if found := _NAME.fullmatch(term):
                names.append(found[1])
            elif found := _LISTED.fullmatch(term):
                listed.append(found[1])
            else:
                raise Refused(400, f"invalid condition {term}")
        rules.append(Rule(rule["availableResource"], frozenset(rights), tuple(names), tuple(listed)))
    return tuple(rules)


class _Handler(BaseHTTPRequestHandler):
    cloud: GoogleStorage
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        self._answer({"/token": self._account, "/v1/token": self._cut_down}.get(path, self._multipart))

    def do_PUT(self) -> None:
        self._answer(self._put)

    def do_GET(self) -> None:
        self._answer(self._get)

    do_HEAD = do_GET  # noqa: N815  the name that http.server asks for

    def do_DELETE(self) -> None:
        self._answer(self._delete)

    def log_message(self, format: str, *args: Any) -> None:
        return

    # Tokens

    def _account(self) -> None:
        form = self._form()
        try:
            told = jwt.decode(form["assertion"], certs=self.cloud.public, audience=AUDIENCE)
        except (KeyError, ValueError) as error:
            raise Refused(400, "invalid_grant") from error
        if told["iss"] != ACCOUNT:
            raise Refused(400, "invalid_grant")
        token = self.cloud.give(None, time.time() + self.cloud.seconds)
        self._json({"access_token": token, "token_type": "Bearer", "expires_in": int(self.cloud.seconds)})

    def _cut_down(self) -> None:
        form = self._form()
        whole = self.cloud.tokens.get(form.get("subject_token", ""))
        if form.get("grant_type") != EXCHANGE or whole is None or whole.ends < time.time() or whole.rules is not None:
            raise Refused(400, "invalid_grant")
        token = self.cloud.give(boundary(unquote(form["options"])), whole.ends)
        self._json({"access_token": token, "token_type": "Bearer",
                    "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})  # fmt: skip

    # Objects

    def _get(self) -> None:
        bucket, key, query = self._where()
        if not key:
            self._may(LIST, bucket, "", query.get("prefix", ""))
            self._list(bucket, query)
            return
        self._may(GET, bucket, key)
        found = self._bucket(bucket).get(key)
        if found is None:
            raise Refused(404, "NoSuchKey")
        if "If-Match" in self.headers and self.headers["If-Match"] != found.tag:
            raise Refused(412, "PreconditionFailed")
        status, body, headers = 200, found.body, self._described(found)
        if asked := re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", "")):
            first, last = asked.groups()
            begin = int(first) if first else max(0, len(body) - int(last))
            end = min(int(last) + 1, len(body)) if first and last else len(body)
            if begin >= len(body):
                raise Refused(416, "InvalidRange")
            status, headers["Content-Range"] = 206, f"bytes {begin}-{end - 1}/{len(body)}"
            body = body[begin:end]
        self._send(status, body, headers)

    def _put(self) -> None:
        bucket, key, query = self._where()
        body = self._body
        if "uploadId" in query:
            self._may("multipartUploads.create", bucket, key)
            self.cloud.uploads[query["uploadId"]][int(query["partNumber"])] = body
            self._send(200, b"", {"ETag": f'"{query["partNumber"]}"'})
            return
        if source := self.headers.get("x-goog-copy-source"):
            from_bucket, _, from_key = unquote(source).strip("/").partition("/")
            self._may(GET, from_bucket, from_key)
            copied = self._bucket(from_bucket).get(from_key)
            if copied is None:
                raise Refused(404, "NoSuchKey")
            body = copied.body
        self._send(200, b"<CopyObjectResult/>" if source else b"", self._described(self._write(bucket, key, body)))

    def _multipart(self) -> None:
        bucket, key, query = self._where()
        if "uploads" in query:
            self._may("multipartUploads.create", bucket, key)
            upload = secrets.token_hex(8)
            self.cloud.uploads[upload] = {}
            self._send(200, f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId>"
                            "</InitiateMultipartUploadResult>".encode(), {})  # fmt: skip
            return
        if "uploadId" not in query:
            raise Refused(400, "InvalidArgument")
        parts = self.cloud.uploads.pop(query["uploadId"])
        made = self._write(bucket, key, b"".join(parts[number] for number in sorted(parts)))
        self._send(200, f"<CompleteMultipartUploadResult><ETag>{escape(made.tag)}</ETag>"
                        "</CompleteMultipartUploadResult>".encode(), self._described(made))  # fmt: skip

    def _delete(self) -> None:
        bucket, key, _ = self._where()
        self._may(DELETE, bucket, key)
        with self.cloud.lock:
            if self._bucket(bucket).pop(key, None) is None:
                raise Refused(404, "NoSuchKey")
        self._send(204, b"", {})

    def _write(self, bucket: str, key: str, body: bytes) -> Object:
        """Make an object, or put it in the place of another: that takes the right to delete too."""
        self._may(CREATE, bucket, key)
        with self.cloud.lock:
            objects = self._bucket(bucket)
            before = objects.get(key)
            if before is not None:
                self._may(DELETE, bucket, key)
            wanted = self.headers.get("x-goog-if-generation-match")
            if self.cloud.conditional and wanted is not None and int(wanted) != (before.generation if before else 0):
                raise Refused(412, "PreconditionFailed")
            self.cloud.generation += 1
            metadata = {name: value for name, value in self.headers.items() if name.lower().startswith("x-goog-meta-")}
            objects[key] = Object(body, self.cloud.generation, metadata, time.time())
            return objects[key]

    def _list(self, bucket: str, query: dict[str, str]) -> None:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = max(query.get("continuation-token", ""), query.get("start-after", ""))
        most = int(query.get("max-keys", 1000))
        with self.cloud.lock:
            found = sorted((key, one) for key, one in self._bucket(bucket).items()
                           if key.startswith(prefix) and key > after)  # fmt: skip
        folders = {prefix + key[len(prefix):].partition(delimiter)[0] + delimiter for key, _ in found
                   if delimiter and delimiter in key[len(prefix):]}  # fmt: skip
        found = [(key, one) for key, one in found if not (delimiter and delimiter in key[len(prefix) :])]
        page, more = found[:most], len(found) > most
        parts = [
            f"<Contents><Key>{escape(key)}</Key><LastModified>{_iso(one.at)}</LastModified>"
            f"<ETag>{escape(one.tag)}</ETag><Size>{len(one.body)}</Size><Generation>{one.generation}</Generation>"
            "</Contents>"
            for key, one in page
        ]
        parts += [f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in sorted(folders)]
        if more:
            parts.append(f"<NextContinuationToken>{escape(page[-1][0])}</NextContinuationToken>")
        answer = f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{''.join(parts)}</ListBucketResult>"
        self._send(200, answer.encode(), {"Content-Type": "application/xml"})

    # Both

    def _may(self, right: str, bucket: str, key: str, prefix: str = "") -> None:
        word = self.headers.get("Authorization", "").removeprefix("Bearer ")
        token = self.cloud.tokens.get(word)
        if token is None or token.ends < time.time():
            raise Refused(401, "AuthenticationRequired")
        if token.rules is not None and not any(rule.allows(right, bucket, key, prefix) for rule in token.rules):
            raise Refused(403, "AccessDenied")

    def _bucket(self, name: str) -> dict[str, Object]:
        if name not in self.cloud.buckets:
            raise Refused(404, "NoSuchBucket")
        return self.cloud.buckets[name]

    def _where(self) -> tuple[str, str, dict[str, str]]:
        parts = urlsplit(self.path)
        bucket, _, key = parts.path.lstrip("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        return unquote(bucket), unquote(key), query

    def _described(self, one: Object) -> dict[str, str]:
        return {"ETag": one.tag, "x-goog-generation": str(one.generation),
                "Last-Modified": formatdate(one.at, usegmt=True), **one.metadata}  # fmt: skip

    def _form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self._body.decode()).items()}

    def _json(self, answer: dict[str, Any]) -> None:
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _answer(self, verb: Callable[[], None]) -> None:
        # Read in any case: what is left of one request would be taken for the next.
        self._body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            verb()
        except Refused as refused:
            if self.path.split("?")[0] in ("/token", "/v1/token"):
                self._send(refused.status, json.dumps({"error": refused.code}).encode(),
                           {"Content-Type": "application/json"})  # fmt: skip
                return
            self._send(refused.status, f"<Error><Code>{refused.code}</Code></Error>".encode(), {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(body)


def _iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at))
