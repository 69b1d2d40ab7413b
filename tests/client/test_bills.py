"""Clouds' own bills: which lines are egress, and of what, in each format that clouds write."""

import gzip
from datetime import date

import pytest

from amasia import errors
from amasia.client import bills, tables

DAY, NEXT = date(2026, 11, 25), date(2026, 11, 26)
# (resource, time, type of use, kind of line, amount), as AWS writes them by the hour.
LINES = [
    ("i-0abc", "2026-11-25T10:00:00Z", "EUC1-BoxUsage:m7i.large", "Usage", "0.1"),
    ("i-0abc", "2026-11-25T10:00:00Z", "EUC1-DataTransfer-Out-Bytes", "Usage", "0.0900000001"),
    ("i-0abc", "2026-11-25T11:00:00Z", "EUC1-DataTransfer-Out-Bytes", "Usage", "0.01"),
    ("i-0abc", "2026-11-26T11:00:00Z", "EUC1-DataTransfer-Regional-Bytes", "Usage", "0.02"),
    ("arn:aws:ec2:eu-central-1:1:instance/i-0def", "2026-11-25T00:00:00Z", "EUC1-USE1-AWS-Out-Bytes", "Usage", "0.4"),
    ("i-0abc", "2026-11-25T10:00:00Z", "EUC1-DataTransfer-In-Bytes", "Usage", "0"),
    ("lab-data", "2026-11-25T00:00:00Z", "EUC1-DataTransfer-Out-Bytes", "Usage", "3.6"),
    ("lab-data", "2026-11-25T00:00:00Z", "EUC1-USE1-AWS-Out-ABytes-T1", "Usage", "0.5"),
    ("lab-data", "2026-11-25T00:00:00Z", "EUC1-CloudFront-Out-Bytes", "Usage", "0.25"),
    ("lab-data", "2026-11-25T00:00:00Z", "EUC1-TimedStorage-ByteHrs", "Usage", "7"),
    ("lab-data", "2026-11-25T00:00:00Z", "EUC1-Standard-Retrieval-Bytes", "Usage", "0.7"),
    ("lab-data", "2026-11-25T00:00:00Z", "EUC1-DataTransfer-Out-Bytes", "Credit", "-1"),
    ("", "2026-11-25T00:00:00Z", "EUC1-DataTransfer-Out-Bytes", "Usage", "0.33"),
    ("", "2026-11-25T00:00:00Z", "", "Tax", "2"),
]
EGRESS = {
    "i-0abc": {DAY: 100_000, NEXT: 20_000},
    "i-0def": {DAY: 400_000},
    "lab-data": {DAY: 4_350_000},
}
AWS = {
    "CUR": ("lineItem/ResourceId", "lineItem/UsageStartDate", "lineItem/UsageType", "lineItem/LineItemType",
            "lineItem/UnblendedCost", "lineItem/CurrencyCode"),
    "CUR 2": ("line_item_resource_id", "line_item_usage_start_date", "line_item_usage_type",
              "line_item_line_item_type", "line_item_unblended_cost", "line_item_currency_code"),
    "FOCUS": ("ResourceId", "ChargePeriodStart", "x_UsageType", "ChargeCategory", "BilledCost", "BillingCurrency"),
}  # fmt: skip
"""The published names of the columns, in the order of the lines, and that of the currency."""


def write(path, columns, lines=LINES):
    rows = [dict(zip(columns, (*line, "USD"), strict=True)) for line in lines]
    if path.suffix == ".parquet":
        tables.write_parquet(path, columns, (), rows)
    else:
        with path.open("w") as file:
            tables.write_csv(file, columns, rows)
    return path


@pytest.mark.parametrize("form", AWS)
@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_egress_of_aws_is_told_by_the_type_of_use_in_every_format(tmp_path, form, name):
    bill = bills.read(write(tmp_path / name, AWS[form]))
    assert (bill.format, bill.currency, bill.first, bill.last) == (form, "USD", DAY, NEXT)
    assert bill.egress == EGRESS
    assert bill.resources == {"i-0abc": 100_000, "lab-data": 7_700_000}
    assert (bill.nameless, bill.others) == (330_000, 1_330_000)


def test_a_bill_of_several_files_is_one_and_the_same_file_twice_is_not_two(tmp_path):
    parts = [write(tmp_path / f"{number}.csv", AWS["CUR"], LINES[number::2]) for number in range(2)]
    assert bills.read(*parts, parts[0], tmp_path / "." / "1.csv").egress == EGRESS


@pytest.mark.parametrize(
    ("meter", "said", "leaves"),
    [
        ("Bandwidth", "Bandwidth - Rtn Preference: MGN - Standard Data Transfer Out", True),
        ("Virtual Machines", "Virtual Machines Dsv5 Series - D2s v5", False),
        ("", "Network Internet Data Transfer Out from EMEA to EMEA", True),
        ("", "Network Inter Zone Data Transfer Out", True),
        ("", "Network Data Transfer In", False),
        ("", "E2 Instance Core running in Frankfurt", False),
        ("", "What the repository data-transfer-out took up", False),
    ],
)
def test_egress_of_azure_and_google_is_told_by_meter_and_description(tmp_path, meter, said, leaves):
    columns = ("ResourceId", "ChargePeriodStart", "BilledCost", "ChargeDescription", "x_SkuMeterCategory",
               "BillingCurrency")  # fmt: skip
    vm = "/subscriptions/1/resourcegroups/lab/providers/microsoft.compute/virtualmachines/amasia-ma-1"
    bill = bills.read(write(tmp_path / "a.csv", columns, [(vm, "2026-11-25T00:00:00Z", "1.5", said, meter)]))
    assert bill.egress == ({"amasia-ma-1": {DAY: 1_500_000}} if leaves else {})


@pytest.mark.parametrize(
    ("resource", "name"),
    [
        ("arn:aws:ec2:eu-central-1:1:instance/i-0abc", "i-0abc"),
        ("arn:aws-cn:s3:::lab-data", "lab-data"),
        ("//storage.googleapis.com/projects/_/buckets/lab-data", "lab-data"),
        ("//compute.googleapis.com/projects/p/zones/europe-west1-b/instances/am-1", "am-1"),
        ("/subscriptions/1/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/am-1", "am-1"),
        ("lab-data", "lab-data"),
    ],
)
def test_a_machine_or_bucket_is_known_by_its_own_name_in_every_clouds_words(resource, name):
    assert bills.short(resource) == name


@pytest.mark.parametrize(
    "resource",
    ["arn:aws:rds:eu-central-1:1:db:lab-data", "arn:aws:lambda:eu-central-1:1:function:lab-data",
     "//cloudsql.googleapis.com/projects/p/instances/lab-data", "arn:aws:s3:::lab-data/"],
)  # fmt: skip
def test_what_only_ends_in_the_same_word_is_something_else(resource):
    assert bills.short(resource) == resource


def test_a_credit_is_no_egress(tmp_path):
    lines = [("lab-data", "2026-11-25T00:00:00Z", "EUC1-DataTransfer-Out-Bytes", "Usage", amount)
             for amount in ("3", "-50")]  # fmt: skip
    bill = bills.read(write(tmp_path / "a.csv", AWS["CUR"], lines))
    assert bill.egress == {"lab-data": {DAY: 0}}
    assert bill.others == -47_000_000


@pytest.mark.parametrize("broken", [lambda whole: whole[:-9], lambda whole: whole[:40] + b"0" * 20 + whole[60:]])
def test_a_compressed_file_that_is_cut_or_spoilt_is_no_bill(tmp_path, broken):
    whole = gzip.compress(write(tmp_path / "a.csv", AWS["CUR"]).read_bytes())
    (tmp_path / "a.csv.gz").write_bytes(broken(whole))
    with pytest.raises(errors.InvalidRequest, match="cannot be read as a bill"):
        bills.read(tmp_path / "a.csv.gz")


def test_a_bill_without_a_line_of_anything_that_was_used_is_none(tmp_path):
    for lines in ([], [("", "2026-11-25T00:00:00Z", "", "Tax", "2")]):
        with pytest.raises(errors.InvalidRequest, match="no line of a resource that was used"):
            bills.read(write(tmp_path / "a.csv", AWS["CUR"], lines))
