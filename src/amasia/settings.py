"""Every setting, and the only place that reads the environment.

Each class reads variables with the prefix ``AMASIA_`` (``AMASIA_PORT=9000``); `ClientSettings` also reads the
profile that ``amasia up`` and ``amasia login`` write.
"""

import json
import os
import ssl
import tomllib
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from amasia import files
from amasia.errors import InvalidRequest


def default_home() -> Path:
    return Path(platformdirs.user_data_dir("amasia"))


def default_profile() -> Path:
    return Path(platformdirs.user_config_dir("amasia")) / "profile.json"


type Folder = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
"""The same one wherever processes that inherit it run."""


class Settings(BaseSettings):
    """Read from the environment; a value that cannot be is the user's to mend, by the variable's name."""

    model_config = SettingsConfigDict(env_prefix="AMASIA_", extra="ignore")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            wrong = [(f"AMASIA_{str(one['loc'][0]).upper()}", one) for one in error.errors(include_url=False)]
            told = "; ".join(f"{name}{_given(one)}: {one['msg']}" for name, one in wrong)
            raise InvalidRequest(
                f"A setting is wrong: {told}.", cure=f"Change or unset {', '.join(name for name, _ in wrong)}."
            ) from None
        except SettingsError as error:
            raise InvalidRequest(f"A setting is wrong: {error}.", cure="Write it as JSON.") from None


def _given(error: Any) -> str:
    """What was given, where it is one plain value; else where in it the error is, and none of the secrets beside."""
    if len(error["loc"]) == 1:
        return f"={error['input']!r}"
    return f" at {'.'.join(map(str, error['loc'][1:]))}"


class Rule(BaseModel):
    """Whoever has a value among a claim's has a role in a workspace; a claim that is not there gives nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: str = "groups"
    """Its name; ``realm_access.roles`` goes into objects."""
    value: str
    workspace: str
    role: str = "member"
    groups: tuple[str, ...] = ()
    """Of that workspace, which they are put into."""


class Issuer(BaseModel):
    """A provider of OpenID Connect that vouches for people."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    """In addresses: ``/-/sign-in/NAME/callback`` is what its administrator is told."""
    title: str = ""
    """On the button; empty for the name."""
    url: str
    """As in its discovery document, which is read from below it."""
    client_id: str
    client_secret: SecretStr = SecretStr("")
    client_secret_file: Path | None = None
    """Of the secret, in place of it; neither for a public client."""
    scopes: str = "openid email profile"
    name_claim: str = "preferred_username"
    """What people may be called here."""
    rules: tuple[Rule, ...] = ()

    @property
    def called(self) -> str:
        return self.title or self.name

    def secret(self) -> str:
        """Empty for a public client, which has none.

        Raises
        ------
        InvalidRequest
            The file cannot be read.
        """
        if self.client_secret_file is None:
            return self.client_secret.get_secret_value()
        try:
            return self.client_secret_file.read_text().strip()
        except OSError as error:
            raise InvalidRequest(
                f"The client secret of the issuer {self.name!r} cannot be read ({error}).",
                cure="Name a file that the control plane may read.",
            ) from None


class ServerSettings(Settings):
    """Of the control plane."""

    home: Folder = Field(default_factory=default_home)
    """Directory of the database, the embedded object store, machines of the local provider, keys and logs."""
    host: str = "127.0.0.1"
    """Address that the API and the console listen on."""
    port: int = 8642
    """Of the API and the console."""
    public_url: str = ""
    """How machines and people reach the control plane; empty for http://host:port."""
    database_url: str = ""
    """SQLAlchemy URL; empty for SQLite in the home directory."""
    key_file: Path | None = None
    """File with the master keys, one a line, the newest first; without it ``key`` in the home directory, which is
    made."""
    keys: SecretStr = SecretStr("")
    """Master keys in place of such a file, the newest first, with blanks between them."""
    kms: str = ""
    """What keeps the master key in place of both, such as aws:alias/amasia. Keys of a file or of AMASIA_KEYS are read
    beside it, and used no more."""
    plain_http: bool = False
    """Listen beyond this computer without TLS, because a proxy in front speaks it, or the network is trusted."""
    tls_certificate: Path | None = None
    """PEM file with the certificate, and those between it and its authority: of everything that listens here."""
    tls_key: Path | None = None
    """PEM file with the certificate's key."""
    ca: Path | None = None
    """PEM file with an authority of one's own that signed the certificate: machines are told to trust it."""
    gateway_port: int = Field(default=0, ge=0, le=65535)
    """Of the gateway to what runs on machines; 0 for any free one, and the same again after that."""
    gateway_public_url: str = ""
    """How machines, clients and browsers reach the gateway; empty for its port at the host they know."""
    store_port: int = 8643
    """Of the embedded object store."""
    store_host: str = "127.0.0.1"
    """Address that the embedded object store's S3 listens on; all else of it stays on this computer."""
    store_public_url: str = ""
    """How machines and clients reach the embedded object store; empty for http://store_host:store_port."""
    lease_seconds: int = 120
    """Time that a machine is paid for in advance. It outlives the control plane for as long, and no longer."""
    heartbeat_seconds: float = 2.0
    """Between two reports of a machine's agent."""
    credentials_seconds: int = Field(default=3600, ge=2, le=3600)
    """Life of lent credentials of an object store. Clients renew them; stores other than the embedded one lend no
    shorter than 900."""
    public_credentials_seconds: int = Field(default=900, ge=2, le=3600)
    """Life of those that are lent without an account, for public repositories."""
    public_per_minute: int = Field(default=120, ge=1)
    """Requests without an account from one address in a minute."""
    private_endpoints: bool = False
    """Whether everybody who manages buckets and locations may register a store, a host or an endpoint at a private or
    loopback address, and not only operators."""
    join_seconds: int = 60
    """A machine that did not join within this time is ended."""
    publish: bool = True
    """Start the publishing process, for which ``amasia[publish]`` must be installed, when a repository is published;
    false where another process serves."""
    publish_port: int = 8644
    """Of the publishing process that the control plane starts."""
    publish_public_url: str = ""
    """How people reach the publishing process; empty for http://host:publish_port."""
    issuers: tuple[Issuer, ...] = ()
    """Providers of OpenID Connect that people sign in by, as JSON; see sign in with OpenID Connect."""
    issuers_file: Path | None = None
    """TOML file with more of them, a table [[issuer]] each, and its rules as [[issuer.rules]]."""
    sign_up: Literal["closed", "invited", "claims", "open"] = "closed"
    """Who becomes a user by signing in for the first time: nobody, whoever was invited, whoever has a claim that gives
    a role, or everybody that an issuer knows. The invited may come by all but closed."""
    claims_days: int = Field(default=90, ge=0)
    """What claims gave ends so long after the last sign-in that they were seen at; 0 for never."""
    session_seconds: int = Field(default=30 * 86400, ge=60)
    """A session ends so long after the sign-in, however much it is used."""
    session_idle_seconds: int = Field(default=7 * 86400, ge=300)
    """A session ends when it was not used for so long."""
    first_user: str = ""
    """Name of the first user; empty for the operating system's."""
    first_workspace: str = "demo"
    """Name of the workspace that the first start makes."""
    first_budget: str = "10.00"
    """Limit that a new workspace begins with, in its currency."""
    currency: str = "EUR"
    """Of the first workspace."""
    local_price_per_cpu: str = "0.04"
    """Per core and hour on the local provider: nominal, so that a bill can be read."""
    local_price_per_gib: str = "0.005"
    """Per GiB of memory and hour on the local provider."""
    storage_price: str = "0.02"
    """Per GiB and month of 730 hours of what repositories take up; 0 for nothing."""
    smtp_url: SecretStr = SecretStr("")
    """Of the server that takes e-mail, such as smtps://user:password@mail.example.org; empty for no e-mail. With smtp://
    the connection is encrypted where the server can."""
    smtp_from: str = "amasia@localhost"
    """Sender of e-mail."""
    audit_days: int = Field(default=0, ge=0)
    """So long events of the audit trail are kept here; 0 for ever. They go only when every place below has them."""
    audit_file: Path | None = None
    """File that every event is added to, as a line of JSON."""
    audit_syslog: str = ""
    """Where every event is sent by RFC 5424, such as tcp://logs.example.org:601, udp://127.0.0.1:514 or
    unix:///dev/log."""
    audit_webhook: str = ""
    """URL that every event is posted to, many at once, as lines of JSON."""
    audit_secret: SecretStr = SecretStr("")
    """Requests to that URL are signed with it, as those to webhooks of people are."""
    limit_machines: int = Field(default=0, ge=0)
    """Machines that one workspace may have at a time, unless an operator says otherwise of it; 0 for no limit, as of
    all limits."""
    limit_starting: int = Field(default=0, ge=0)
    """Of them those that are being started at a time; more wait for their turn."""
    limit_requests: int = Field(default=200, ge=0)
    """Requests that a workspace may make in a second, and ten times as many at once; of a user, where it is about no
    workspace of theirs."""
    limit_repositories: int = Field(default=0, ge=0)
    """Repositories of one workspace."""
    limit_secrets: int = Field(default=1000, ge=0)
    """Secrets of one workspace, of all whom they are for together."""
    limit_log_bytes: int = Field(default=64 << 20, ge=0)
    """Bytes that are kept of one machine's log."""
    grace_days: int = 30
    """So long after a repository was deleted, its objects are removed."""

    @property
    def secure(self) -> bool:
        """Whether it speaks TLS itself."""
        return self.tls_certificate is not None

    @property
    def url(self) -> str:
        return self.public_url or f"{'https' if self.secure else 'http'}://{self.host}:{self.port}"

    @property
    def gateway(self) -> str:
        """As it is told to agents and clients, see `models.tunnels.gateway_url`."""
        return self.gateway_public_url or f":{self.gateway_port}"

    @property
    def publish_url(self) -> str:
        return self.publish_public_url or f"http://{self.host}:{self.publish_port}"

    @property
    def sqlalchemy_url(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'amasia.db'}"


class ClientSettings(Settings):
    """Of whoever talks to a control plane: scripts, the command line, tasks on machines."""

    url: str = ""
    """Of the control plane."""
    token: SecretStr = SecretStr("")
    """To be known by there."""
    workspace: str = ""
    """The workspace that names without one belong to."""
    cluster: str = ""
    """Id of the cluster that this process is a part of; set on machines."""
    virtual_sources: tuple[str, ...] = ()
    """Prefixes that references in repositories may be read from, as JSON: ["file:///data/", "s3://bucket/"]."""
    ca: Path | None = None
    """PEM file with an authority of one's own, to be trusted beside the system's: for control plane and stores."""
    profile: Folder = Field(default_factory=default_profile)
    """File with url, token and workspace, mode 0600; variables win over it."""
    home: Folder = Field(default_factory=default_home)
    """Where ``amasia up`` keeps the control plane of this computer."""
    cache: Folder = Field(default_factory=lambda: Path(platformdirs.user_cache_dir("amasia")))
    """Locks and wheels of captured environments."""


def issuers(settings: ServerSettings) -> tuple[Issuer, ...]:
    """Those of the variable and those of the file.

    Raises
    ------
    InvalidRequest
        The file cannot be read; two have one name; one is asked without TLS.
    """
    found = (*settings.issuers, *_issuers_of(settings.issuers_file))
    names = [one.name for one in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InvalidRequest(f"Two issuers are called {', '.join(twice)}.", cure="Give each a name of its own.")
    for one in found:
        parts = urlsplit(one.url)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            raise InvalidRequest(
                f"The issuer {one.name!r} is at {one.url!r}, where anybody on the way could answer for it.",
                cure="Name its address with https://.",
            )
        one.secret()
    return found


def _issuers_of(path: Path | None) -> tuple[Issuer, ...]:
    if path is None:
        return ()
    try:
        said = tomllib.loads(path.read_text())
        if set(said) - {"issuer"}:
            raise ValueError(f"it has {', '.join(said)}, and may have [[issuer]] only")
        return tuple(Issuer.model_validate(one) for one in said.get("issuer", ()))
    except (OSError, ValueError) as error:
        # Of pydantic's own words nothing that repeats what was written: it may be a secret.
        what = "; ".join(_where(one) for one in error.errors()) if isinstance(error, ValidationError) else str(error)
        raise InvalidRequest(
            f"AMASIA_ISSUERS_FILE={str(path)!r} cannot be used: {what}.", cure="Mend it; see sign-in-with-oidc.md."
        ) from None


def _where(error: Any) -> str:
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}"


class PublishSettings(BaseSettings):
    """Of the process that serves published repositories; its control plane and token are `ClientSettings`."""

    model_config = SettingsConfigDict(env_prefix="AMASIA_", extra="ignore")

    publish_host: str = "127.0.0.1"
    """Address that it listens on."""
    publish_port: int = 8644
    """That it listens on."""
    publish_bytes: int = 64 << 20
    """Most that one request may read, as it is in memory, before it is refused."""
    publish_seconds: float = 60.0
    """A request that takes longer is answered with an error; the first tile of a grid compiles for up to 40 s."""
    publish_requests: int = 4
    """Worked on at the same time; more wait, and many more are refused."""
    publish_memory: int = 6 << 30
    """Bytes that the process may take in all; 0 for no limit."""


def check_listening(settings: ServerSettings) -> None:
    """Refuse to listen beyond this computer in a way that lends tokens to everybody who listens on the way.

    Raises
    ------
    InvalidRequest
        No TLS and no word that it is not needed; an address that nobody can dial; a certificate that cannot be read.
    """
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise InvalidRequest(
            "A certificate and its key go together.", cure="Set both AMASIA_TLS_CERTIFICATE and AMASIA_TLS_KEY."
        )
    if settings.tls_certificate is not None:
        _check_certificate(settings)
    for name, host, url in (
        ("AMASIA_HOST", settings.host, settings.public_url),
        ("AMASIA_STORE_HOST", settings.store_host, settings.store_public_url),
    ):
        _check_host(name, host, url, open_=settings.secure or settings.plain_http)


def _check_host(name: str, host: str, url: str, *, open_: bool) -> None:
    if is_loopback(host):
        return
    if not open_:
        raise InvalidRequest(
            f"{name}={host!r} listens beyond this computer without TLS: tokens and data could be read on the way.",
            cure="Set AMASIA_TLS_CERTIFICATE and AMASIA_TLS_KEY; or AMASIA_PLAIN_HTTP=1 where a proxy in front of it "
            "speaks TLS, or where you trust everybody on that network.",
        )
    if not url and host in ("0.0.0.0", "::"):  # noqa: S104
        public = name.replace("HOST", "PUBLIC_URL")
        raise InvalidRequest(
            f"{name}={host!r} is no address to dial.", cure=f"Set {public} to the one that others use."
        )


def _check_certificate(settings: ServerSettings) -> None:
    assert settings.tls_certificate is not None
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidRequest(
            f"The certificate {settings.tls_certificate} with the key {settings.tls_key} cannot be used ({error}).",
            cure="AMASIA_TLS_CERTIFICATE and AMASIA_TLS_KEY name two PEM files that belong together.",
        ) from None


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def client_settings() -> ClientSettings:
    """Variables first, then the profile file, then defaults."""
    settings = _client_settings(tuple(os.environ.items()))
    if not settings.profile.exists():
        return settings.model_copy()
    saved = _saved(settings.profile)
    changes: dict[str, Any] = {
        key: saved[key] for key in ("url", "workspace") if key in saved and not getattr(settings, key)
    }
    # A profile's token goes to the profile's control plane, and to no other that a variable names.
    elsewhere = settings.url and settings.url != saved.get("url")
    if saved.get("token") and not settings.token.get_secret_value() and not elsewhere:
        changes["token"] = SecretStr(saved["token"])
    return settings.model_copy(update=changes)


@lru_cache(maxsize=1)
def _client_settings(environment: tuple[tuple[str, str], ...]) -> ClientSettings:
    """Of this environment: to read them anew costs every open a part of its time."""
    return ClientSettings()


def _saved(profile: Path) -> dict[str, Any]:
    try:
        saved = json.loads(profile.read_text())
    except (OSError, ValueError) as error:
        raise InvalidRequest(
            f"The profile {profile} cannot be read ({error}).", cure=f"Remove it and sign in again: rm {profile}"
        ) from None
    if not isinstance(saved, dict):
        raise InvalidRequest(
            f"The profile {profile} is no JSON object.", cure=f"Remove it and sign in again: rm {profile}"
        )
    return saved


def save_profile(path: Path, *, url: str, token: str, workspace: str) -> None:
    """Write the profile file so that only its owner can read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"url": url, "token": token, "workspace": workspace}, indent=2)
    files.write(path, text, private=True)
