"""Lent credentials in the words of other tools: each really reads an object, and shows no secret by accident."""

import configparser
import json
import os
import subprocess
import sys

import boto3
import pytest
import s3fs

from amasia import errors
from amasia.client.credentials import Credentials, Format
from amasia.models.repositories import Mode
from amasia.stores.credentials import lend
from tests.stores.conftest import bucket, on_disk, on_s3, store  # noqa: F401  # fixtures


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
