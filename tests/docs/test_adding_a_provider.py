"""The provider of the page keeps the contract, by the tests of the page."""

from .pages import ROOT, blocks

PAGE = ROOT / "docs" / "developers" / "adding-a-provider.md"

for block in blocks(PAGE, "python"):
    exec(compile(block, str(PAGE), "exec"))  # the class TestCloudProvider is what pytest finds here
