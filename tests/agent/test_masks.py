"""Nothing of a secret comes out of a machine, however it is cut on the way."""

import os
import random
import threading

import pytest

from amasia.agent.masks import Mask

TOKEN = "aXq-93.kd+zz/aXq-93=="
KEY = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\nshort\n7bqLMY0xF2\n-----END KEY-----"
MASK = Mask({"TOKEN": TOKEN, "KEY": KEY})


def through(pieces, tmp_path, mask=MASK):
    """What stands in the log when these pieces were written one by one."""
    out, into = os.pipe()
    copier = threading.Thread(target=mask.copy, args=(out, tmp_path / "log"))
    copier.start()
    for piece in pieces:
        os.write(into, piece)
    os.close(into)
    copier.join(10)
    return (tmp_path / "log").read_text()


def test_each_value_is_replaced_by_its_name(tmp_path):
    text = f"token={TOKEN} {TOKEN}{TOKEN}\n{KEY}\nend"
    hidden = "token=[secret TOKEN] [secret TOKEN][secret TOKEN]\n[secret KEY]\nend"
    assert through([text.encode()], tmp_path) == hidden
    assert MASK.hide(text) == hidden


def test_lines_of_a_key_are_hidden_where_they_are_printed_alone():
    assert MASK.hide("first: MIIEpAIBAAKCAQEA, short, 7bqLMY0xF2.") == "first: [secret KEY], short, [secret KEY]."
    assert "MIIEpAIBAAKCAQEA" not in MASK.hide(repr({"KEY": KEY}))


@pytest.mark.parametrize("seed", range(20))
def test_wherever_output_is_cut_the_log_is_the_same(tmp_path, seed):
    dice = random.Random(seed)
    words = [TOKEN, KEY, TOKEN[:5], TOKEN[:-1], TOKEN[8:], KEY[:30], "plain\n", "é", "aXq-93", TOKEN[:7] + TOKEN]
    text = "".join(dice.choice(words) for _ in range(60)).encode()
    cuts = sorted(dice.randrange(len(text)) for _ in range(80))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True) if b > a]
    found = through(pieces, tmp_path)
    assert TOKEN not in found
    assert "MIIEpAIBAAKCAQEA" not in found
    assert "7bqLMY0xF2" not in found
    assert found.replace("[secret TOKEN]", "").replace("[secret KEY]", "").count("plain\n") == text.count(b"plain\n")


def test_what_begins_like_a_secret_and_is_none_is_kept(tmp_path):
    assert through([b"aXq-93", b".k", b"!\n", b"aXq"], tmp_path) == "aXq-93.k!\naXq"


def test_a_secret_that_begins_with_another_is_hidden_to_its_end_also_where_it_is_cut_between_them(tmp_path):
    mask = Mask({"HOST": "https://host", "ADDRESS": "https://host?token=hush-hush", "TWICE": "abcdefga"})
    pieces = [b"https://host", b"?token=", b"hush-hush https://host", b"!", b" abcdefga", b"\n", b"https://host"]
    said = "[secret ADDRESS] [secret HOST]! [secret TWICE]\n[secret HOST]"
    assert through(pieces, tmp_path, mask) == said
    lines = KEY.encode().splitlines(keepends=True)
    assert through(lines, tmp_path) == said + "[secret KEY]"


def test_without_secrets_nothing_is_changed():
    assert not Mask({})
    assert Mask({}).hide("aXq") == "aXq"


def test_bytes_that_are_no_text_pass_through(tmp_path):
    out, into = os.pipe()
    os.write(into, b"\xff\xfe" + TOKEN.encode() + b"\xff")
    os.close(into)
    MASK.copy(out, tmp_path / "log")
    assert (tmp_path / "log").read_bytes() == b"\xff\xfe[secret TOKEN]\xff"
