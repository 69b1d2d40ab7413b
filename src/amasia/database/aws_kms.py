"""Keys wrapped by AWS KMS: ``AMASIA_KMS=aws:KEY``, an id, ARN or alias. Its credentials are those that boto3 finds."""

from base64 import b64decode, b64encode
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from amasia import errors

CONTEXT = {"amasia": "database key"}
"""Beside every request: KMS unwraps for nothing else, and its own trail shows what for."""
CONFIG = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 3, "mode": "standard"})


class AwsKms:
    """A key of AWS KMS. Its rotation there is its own matter: what an earlier version wrapped, it unwraps."""

    def __init__(self, key: str) -> None:
        if not key:
            raise errors.InvalidRequest("AMASIA_KMS names no key.", cure="Write it as aws:alias/amasia, or aws:ARN.")
        self._key = key
        # An ARN says where its key is.
        self._region = key.split(":")[3] if key.startswith("arn:") and key.count(":") >= 5 else None

    def wrap(self, key: bytes) -> str:
        answer = self._ask("encrypt", KeyId=self._key, Plaintext=key)
        return b64encode(answer["CiphertextBlob"]).decode()

    def unwrap(self, wrapped: str) -> bytes:
        # No key is named: what was wrapped by the one that was named before is unwrapped, too.
        found: bytes = self._ask("decrypt", CiphertextBlob=b64decode(wrapped))["Plaintext"]
        return found

    def _ask(self, verb: str, **said: Any) -> dict[str, Any]:
        try:
            client = boto3.client("kms", region_name=self._region, config=CONFIG)
            answer: dict[str, Any] = getattr(client, verb)(EncryptionContext=CONTEXT, **said)
        except (BotoCoreError, ClientError) as error:
            raise errors.Unavailable(
                f"AWS KMS did not {verb} by {self._key}: {str(error).rstrip('.')}.",
                cure="Are there credentials, a region, and the permissions kms:Encrypt and kms:Decrypt on that key?",
            ) from error
        return answer
