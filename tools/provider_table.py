"""What each provider has and promises, from its class and its tests: the body of ``docs/reference/providers.md``."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from amasia.providers import base, registry
from amasia.providers.local import LocalProvider

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests" / "providers"
CONTRACT = ROOT / "src" / "amasia" / "testing" / "providers.py"
PROVIDERS = ("local", *registry.BUILT_IN)
TRIED = {
    "local": ("processes of this computer", "it is the real thing"),
    "ssh": ("`sshd`s on hosts of one computer, each with network, processes, disk and users of its own "
            "(`show/hosts.py`)", "the same; not on hosts with GPUs, `aarch64`, or another Linux than Debian"),
    "slurm": ("Debian's Slurm 22.05 with some nodes on one computer (`show/slurms.py`)",
              "the same; not on a site's own, with its accounts, QOS and `gres`"),
    "aws": ("moto's EC2 with what it lacks, whose instances boot (`testing/ec2.py`, `testing/hypervisors.py`)",
            "**never run on AWS**"),
    "gcp": ("a server of ours that speaks Compute Engine's REST, whose VMs boot (`testing/gce.py`)",
            "**never run on Google Cloud**"),
    "azure": ("a server of ours that speaks the resource manager's REST, whose VMs boot (`testing/arm.py`)",
              "**never run on Azure**"),
}  # fmt: skip
"""What its tests run against, and whether it was ever run on the real thing."""
FEATURES = {
    "a start whose answer was lost makes no second machine": r"lost|never_makes_a_second|second_submission",
    "a request that arrives twice makes one machine": r"arrives_twice|at_the_same_time_make_one|doubled",
    "a control plane killed in a start leaves no second machine": r"killed|another_control_plane|without_its_notes",
    "another type or place is taken where there is no room": r"no_room|alternative|has_no_room",
    "spot, or on demand where there is none": r"spot",
    "that it is taken back is heard, and said": r"taken_back|took_back",
    "what waits in a queue says so": r"waits_in_the_queue",
    "a quota is told with its cure": r"quota",
    "a refused key is told with its cure": r"key_that_is_refused|refused_key",
    "a missing right is named": r"missing_right",
    "a full disk is told, and another place is taken": r"full_disk",
    "who is cut off is kept until its lease is over": r"cut_off",
    "the machine ends itself when its lease is over": r"lease_is_over_shuts|outlive|lease",
    "what carries no mark of ours is reported": r"untagged",
    "machines are held to their memory": r"held|holds_a_machine_to_its_memory",
}
"""A feature, and the tests that promise it by their name."""


def lines() -> Iterator[str]:
    yield from _what_it_ran_on()
    yield from _extras()
    yield from _features()
    yield from _contract()
    yield from _own()


def _what_it_ran_on() -> Iterator[str]:
    yield "A provider is what machines come from. All of them keep the one contract below, by one set of tests:"
    yield "`make providers`, and `make show-machines` counts them."
    yield from ("", "## What it was run on", "", "| provider | its tests run on | the real thing |", "|---|---|---|")
    yield from (f"| {_link(name)} | {TRIED[name][0]} | {TRIED[name][1]} |" for name in PROVIDERS)


def _extras() -> Iterator[str]:
    """Of the small protocols beside the contract, who has which."""
    protocols = [one for name, one in vars(base).items() if name.startswith("Supports")]
    yield from ("", "## What else it can", "", _row("by its class", PROVIDERS), _rule())
    for protocol in protocols:
        yield _row(
            _first(protocol.__doc__), ["yes" if issubclass(_class(name), protocol) else "" for name in PROVIDERS]
        )


def _features() -> Iterator[str]:
    yield from ("", "A test of the provider promises it by its name:", "", _row("by its tests", PROVIDERS), _rule())
    for feature, words in FEATURES.items():
        has = [any(re.search(words, test) for test in tests(name)) for name in PROVIDERS]
        if not any(has):
            raise SystemExit(f"no test promises any more: {feature}")
        yield _row(feature, ["yes" if one else "" for one in has])


def _contract() -> Iterator[str]:
    yield from ("", "## The contract", "", "Each promise is a test that runs on each provider:", "")
    yield from (f"- {_sentence(test)}" for test in _tests_of(_classes(CONTRACT)["ProviderTests"]))


def _own() -> Iterator[str]:
    yield from ("", "## What each promises beside it")
    for name in PROVIDERS:
        yield from ("", f"### {name}", "", *(f"- {_sentence(test)}" for test in own_tests(name)))


def tests(provider: str) -> list[str]:
    """All that a provider's tests promise, those of the contract among them."""
    return [*_tests_of(_classes(CONTRACT)["ProviderTests"]), *own_tests(provider)]


def own_tests(provider: str) -> list[str]:
    """In the provider's own file, and in the class of tests that it shares with others."""
    file = TESTS / f"test_{provider}.py"
    tree = ast.parse(file.read_text())
    shared = _classes(TESTS / "clouds.py")["CloudTests"]
    classes = _classes(file).values()
    if not any(_bases(one) & {"ProviderTests", "CloudTests"} for one in classes):
        raise SystemExit(f"no class in {file} keeps the contract")
    inherited = _tests_of(shared) if any("CloudTests" in _bases(one) for one in classes) else []
    inside = [test for one in classes for test in _tests_of(one)]
    alone = [test for test in _tests_of(tree) if test not in inside]
    contract = set(_tests_of(_classes(CONTRACT)["ProviderTests"]))
    return [test for test in dict.fromkeys([*inherited, *inside, *alone]) if test not in contract]


def _classes(file: Path) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in ast.parse(file.read_text()).body if isinstance(node, ast.ClassDef)}


def _tests_of(node: Any) -> list[str]:
    return [one.name for one in node.body if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")]


def _bases(node: ast.ClassDef) -> set[str]:
    return {ast.unparse(one) for one in node.bases}


def _class(name: str) -> Any:
    return LocalProvider if name == "local" else registry.load(name)


def _row(head: str, cells: Any) -> str:
    return f"| {head} | {' | '.join(cells)} |"


def _rule() -> str:
    return f"|{'---|' * (len(PROVIDERS) + 1)}"


def _link(name: str) -> str:
    return name if name == "local" else f"[{name}](../how-to/connect-{name}.md)"


def _first(text: str | None) -> str:
    return " ".join((text or "").split()).partition(".")[0]


def _sentence(test: str) -> str:
    words = test.removeprefix("test_").split("_")
    names = {"ec2": "EC2", "gpus": "GPUs", "gpu": "GPU", "arm": "ARM", "slurm": "Slurm", "ssh": "SSH", "aws": "AWS"}
    text = " ".join(names.get(word, word) for word in words)
    return text[0].upper() + text[1:]
