"""Which certificates are trusted: the system's authorities, and one of one's own where `AMASIA_CA` names it."""

import os
import ssl
from functools import cache
from hashlib import sha256
from pathlib import Path

import httpx2

from amasia import files
from amasia.errors import InvalidRequest
from amasia.settings import ClientSettings


@cache
def context(ca: Path | None) -> ssl.SSLContext:
    """For connections to a control plane, a gateway, a store.

    Raises
    ------
    InvalidRequest
        The file cannot be read, or holds no certificate.
    """
    made = ssl.create_default_context()
    if ca is not None:
        try:
            made.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            raise InvalidRequest(
                f"AMASIA_CA={str(ca)!r} holds no certificate that can be read ({error}).",
                cure="Name a PEM file with the authority's certificate, or unset AMASIA_CA.",
            ) from None
    return made


def verified(ca: Path | None) -> ssl.SSLContext:
    """For HTTP. Made once: to read the system's authorities takes longer than a request to this computer."""
    return context(ca) if ca else _system(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _system(*_: str | None) -> ssl.SSLContext:
    """By the variables that say where they are."""
    return httpx2.create_ssl_context()


def extend(settings: ClientSettings) -> None:
    """Let libraries that read the environment trust it too: Icechunk, obstore, boto3."""
    if settings.ca is None:
        return
    context(settings.ca)
    own, known = settings.ca.read_text().strip(), _known()
    if own in known:
        return
    text = f"{known.rstrip()}\n{own}\n"
    bundle = settings.cache / f"trusted-{sha256(text.encode()).hexdigest()[:12]}.pem"
    if not bundle.exists():
        settings.cache.mkdir(parents=True, exist_ok=True)
        files.write(bundle, text)
    for name in ("SSL_CERT_FILE", "AWS_CA_BUNDLE"):
        os.environ[name] = str(bundle)


def _known() -> str:
    """The authorities that are trusted now, as PEM; empty where there is no such file."""
    found = ssl.get_default_verify_paths().cafile  # SSL_CERT_FILE where it is set
    return Path(found).read_text() if found else ""
