"""Lent credentials in the words of other tools: each really reads an object, and shows no secret by accident."""

import configparser
import json
import os
import subprocess
import sys

import boto3
import obstore
import pytest
import s3fs
from azure.storage.blob import BlobServiceClient, ContainerClient

from amasia import errors
from amasia.client.credentials import Credentials, Format
from amasia.models.repositories import Mode
from amasia.stores import clients
from amasia.stores.credentials import administer, lend
from tests.stores.conftest import (  # noqa: F401  # fixtures
    at_azure,
    at_google,
    azurite,
    bucket,
    elsewhere,
    google,
    on_disk,
    on_s3,
    store,
)


@pytest.fixture
def found(on_s3) -> Credentials:  # noqa: F811
    return Credentials(lend(on_s3.bucket, on_s3.keys, on_s3.repository_id, "reanalysis", "demo", Mode.read, "anna"))


def test_boto3_reads_with_them(found: Credentials) -> None:
    client = boto3.client("s3", **json.loads(found.text(Format.boto3)))
    answer = client.get_object(Bucket=found.lease.bucket, Key=f"{found.lease.prefix}/repo")
    assert answer["Body"].read()


def test_fsspec_reads_with_them(found: Credentials) -> None:
    files = s3fs.S3FileSystem(**json.loads(found.text(Format.fsspec)), skip_instance_cache=True)
    assert files.cat_file(f"{found.url}/repo")


def test_rclone_would_be_told_the_same(found: Credentials) -> None:
    """rclone itself is no package of ours: its section is read as it reads it, and used."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(found.text(Format.rclone))
    section = parser["amasia"]
    assert (section["type"], section["provider"]) == ("s3", "Other")
    client = boto3.client(
        "s3",
        endpoint_url=section["endpoint"],
        region_name=section["region"],
        aws_access_key_id=section["access_key_id"],
        aws_secret_access_key=section["secret_access_key"],
        aws_session_token=section["session_token"],
    )
    assert client.head_object(Bucket=found.lease.bucket, Key=f"{found.lease.prefix}/repo")["ContentLength"]


def test_a_shell_hands_them_on_to_a_tool_that_reads_variables(found: Credentials, tmp_path) -> None:
    script = tmp_path / "read.py"
    script.write_text(
        "import boto3, sys\n"
        "print(len(boto3.client('s3').get_object(Bucket=sys.argv[1], Key=sys.argv[2])['Body'].read()))\n"
    )
    place = f"{found.lease.bucket} {found.lease.prefix}/repo"
    done = subprocess.run(
        ["bash", "-c", f"{found.text(Format.env)}\n{sys.executable} {script} {place}"],
        env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert int(done.stdout) > 0, done.stderr


def test_they_show_themselves_without_a_secret(found: Credentials) -> None:
    for text in (repr(found), str(found), repr(found.lease)):
        assert found.lease.secret_key not in text
        assert found.lease.session_token not in text
    assert found.lease.secret_key in found.text(Format.json)


def test_a_directory_has_nothing_for_s3_tools(on_disk) -> None:  # noqa: F811
    found = Credentials(on_disk())
    with pytest.raises(errors.InvalidRequest, match="directory"):
        found.text(Format.env)
    assert json.loads(found.text(Format.json))["kind"] == "directory"


@pytest.fixture
def there(elsewhere) -> Credentials:  # noqa: F811
    """To read a repository in a bucket that speaks no S3, which has one object."""
    owner = administer(elsewhere.bucket, elsewhere.keys, "re-1", "reanalysis", "demo")
    obstore.put(clients.open(owner), f"{owner.prefix}/repo", b"found")
    return Credentials(lend(elsewhere.bucket, elsewhere.keys, "re-1", "reanalysis", "demo", Mode.read, "anna"))


def test_tools_of_other_clouds_read_with_variables(there: Credentials, tmp_path) -> None:
    script = tmp_path / "read.py"
    script.write_text(
        "import obstore, sys\n"
        "kind, bucket, key = sys.argv[1:]\n"
        "store = getattr(obstore.store, kind)(bucket, client_options={'allow_http': True})\n"
        "print(obstore.get(store, key).bytes().to_bytes().decode())\n"
    )
    kind = {"gcs": "GCSStore", "azure": "AzureStore"}[there.lease.kind]
    command = f"{sys.executable} {script} {kind} {there.lease.bucket} {there.lease.prefix}/repo"
    done = subprocess.run(
        ["bash", "-c", f"{there.text(Format.env)}\n{command}"],
        env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "found", done.stderr


def test_azures_own_library_reads_with_what_fsspec_and_rclone_are_given(at_azure) -> None:  # noqa: F811
    """adlfs and rclone themselves are no packages of ours: what they hand to Azure's library is handed to it here."""
    owner = administer(at_azure.bucket, at_azure.keys, "re-2", "reanalysis", "demo")
    obstore.put(clients.open(owner), f"{owner.prefix}/repo", b"found")
    found = Credentials(lend(at_azure.bucket, at_azure.keys, "re-2", "reanalysis", "demo", Mode.read, "anna"))
    words = json.loads(found.text(Format.fsspec))
    service = BlobServiceClient.from_connection_string(words["connection_string"])
    assert service.get_blob_client(owner.bucket, f"{owner.prefix}/repo").download_blob().readall() == b"found"
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(found.text(Format.rclone))
    container = ContainerClient.from_container_url(parser["amasia"]["sas_url"])
    assert container.download_blob(f"{owner.prefix}/repo").readall() == b"found"


def test_googles_token_is_in_each_tools_words(at_google) -> None:  # noqa: F811
    found = Credentials(lend(at_google.bucket, at_google.keys, "re-1", "reanalysis", "demo", Mode.read, "anna"))
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(found.text(Format.rclone))
    section = parser["amasia"]
    assert (section["type"], section["access_token"]) == ("google cloud storage", found.lease.session_token)
    assert json.loads(found.text(Format.fsspec))["token"] == found.lease.session_token
    assert found.url == "gs://lake/team/demo/re-1"


def test_other_clouds_have_nothing_for_boto3_and_show_no_secret(there: Credentials) -> None:
    with pytest.raises(errors.InvalidRequest, match="boto3 speaks S3"):
        there.text(Format.boto3)
    for text in (repr(there), repr(there.lease)):
        assert there.lease.session_token not in text
