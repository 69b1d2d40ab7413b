"""Tokens that one makes on one's own page."""

import pytest

from amasia.models.users import Scope
from amasia.services import access, users


def test_a_token_is_made_and_shown_once(world, as_):
    bo = as_("bo")
    answer = bo.post("/-/account/tokens", data={"label": " laptop ", "scope": "read", "days": "7"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    secret = answer.text.partition('<pre id="secret"><code>')[2].partition("<")[0]
    who = access.principal(world.db, secret, "test")
    assert (who.user, who.scope) == ("bo", Scope.read)
    made = next(one for one in users.find_tokens(world.db, world.bo) if one.id == who.token_id)
    assert (made.label, (made.expires_at - made.created_at).days) == ("laptop", 7)
    page = bo.get("/-/account").text
    assert made.prefix in page
    assert secret not in page


@pytest.mark.parametrize(
    "form",
    [{"scope": "machine", "days": "7"}, {"scope": "publish", "days": "7"}, {"scope": "everything", "days": "367"},
     {"scope": "everything", "days": "0"}, {"scope": "root", "days": "7"}, {"days": "7"},
     {"scope": "read", "days": "7", "label": "x" * 101}],
)  # fmt: skip
def test_no_form_makes_another_kind_of_token(world, as_, form):
    bo = as_("bo")
    before = len(users.find_tokens(world.db, world.bo))
    assert bo.post("/-/account/tokens", data=form).status_code == 422
    assert len(users.find_tokens(world.db, world.bo)) == before


def test_nobody_gets_a_token_without_a_session(anybody):
    answer = anybody.post("/-/account/tokens", data={"scope": "read", "days": "7"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/-/sign-in?next=/")
