"""Who may, said a second time: for every route whom it must let in. The code's own table is not read here.

``make show-money`` (line 3) and ``tests/api/test_access.py`` send real requests and compare; a route that is not here
makes both fall short. Whoever adds one asks: who loses sleep if this letter is wrong?
"""

CALLERS = {
    "o": "owner",
    "a": "admin",
    "b": "billing",
    "m": "member",
    "v": "viewer",
    "u": "auditor",
    "g": "guest",
    "r": "owner by a token of scope read",
    "d": "owner by a task's token",
    "k": "owner by a machine's token",
    "p": "publishing process",
    "x": "operator who is no member",
    "s": "stranger",
    "n": "nobody",
}
"""Of one workspace, by the letters of the table."""

ANYBODY = "*"
NONE_OF_THESE = "-"

# {lab} is /v1/workspaces/{workspace}.
_TABLE = """
POST   /v1/machines/join                                              *
POST   /v1/machines/{machine_id}/assignment                           -
POST   /v1/machines/{machine_id}/secrets                              -
POST   /v1/machines/{machine_id}/heartbeat                            -
GET    {lab}/alerts                                                   o a b m v r
POST   /v1/me/alerts                                                  o a b m v u g s x
GET    /v1/me/channels                                                o a b m v u g s x r
POST   /v1/me/channels                                                o a b m v u g s x
DELETE /v1/me/channels/{channel_id}                                   o a b m v u g s x
GET    /v1/health                                                     *
GET    /v1/health/service                                             x
POST   /v1/sign-in                                                    *
GET    /v1/sign-in                                                    *
POST   /v1/device                                                     *
POST   /v1/device/token                                               *
POST   /v1/invitations                                                x
GET    /v1/me                                                         o a b m v u g s x r
GET    /v1/tokens                                                     o a b m v u g s x r
POST   /v1/tokens                                                     o a b m v u g s x
DELETE /v1/tokens/{token_id}                                          o a b m v u g s x
GET    /v1/users                                                      x
POST   /v1/users                                                      x
PUT    /v1/me/password                                                o a b m v u g s x
PUT    /v1/users/{user}/password                                      x
DELETE /v1/users/{user}                                               x
GET    /v1/workspaces                                                 o a b m v u g s x r
POST   /v1/workspaces                                                 x
GET    {lab}/members                                                  o a b m v u r
PUT    {lab}/members/{user}                                           o a
DELETE {lab}/members/{user}                                           o a
PUT    {lab}/policy                                                   o a
GET    {lab}/budget                                                   o a b m v r
PUT    {lab}/budget                                                   o a b
GET    {lab}/budgets                                                  o a b m v r
POST   {lab}/budgets                                                  o a b
GET    {lab}/budgets/{name}                                           o a b m v r
PUT    {lab}/budgets/{name}                                           o a b
DELETE {lab}/budgets/{name}                                           o a b
GET    {lab}/costs                                                    o a b m v r
GET    {lab}/costs/lines                                              o a b m v r
GET    {lab}/costs/forecast                                           o a b m v r
GET    {lab}/costs/waste                                              o a b m v r
GET    {lab}/costs/usage                                              o a b m v r
PUT    {lab}/costs/egress                                             o a b
GET    {lab}/charges                                                  o a b m v r
GET    {lab}/buckets                                                  o a m v r
POST   {lab}/buckets                                                  o a
GET    {lab}/events                                                   o a b m v u g r
GET    {lab}/events/chain                                             o a u r
GET    {lab}/events/head                                              o a u r
GET    /v1/events                                                     x
GET    /v1/events/chain                                               x
GET    /v1/events/head                                                x
GET    {lab}/groups                                                   o a b m v u r
POST   {lab}/groups                                                   o a
DELETE {lab}/groups/{group}                                           o a
PUT    {lab}/groups/{group}/members/{user}                            o a
DELETE {lab}/groups/{group}/members/{user}                            o a
GET    {lab}/accounts                                                 o a b m v u r
POST   {lab}/accounts                                                 o a
DELETE {lab}/accounts/{account}                                       o a
GET    {lab}/accounts/{account}/tokens                                o a
POST   {lab}/accounts/{account}/tokens                                o a
DELETE {lab}/accounts/{account}/tokens/{token_id}                     o a
PUT    {lab}/environments/{digest}                                    o a m
GET    {lab}/environments/{digest}                                    o a m v r k
PUT    {lab}/artifacts/{digest}                                       o a m
GET    {lab}/artifacts/{digest}                                       o a m v r k
GET    {lab}/repositories                                             o a b m v u g r d
POST   {lab}/repositories                                             o a m d
GET    {lab}/repositories/{name}                                      o a m v r d
DELETE {lab}/repositories/{name}                                      o a
POST   {lab}/repositories/{name}/credentials                          o a m v r d
GET    {lab}/repositories/{name}/commits                              o a m v r d
POST   {lab}/repositories/{name}/commits                              o a m d
PUT    {lab}/repositories/{name}/commits/{commit_id}                  o a m d
GET    {lab}/repositories/{name}/refs                                 o a m v r d
POST   {lab}/repositories/{name}/refs                                 o a m d
PUT    {lab}/repositories/{name}/refs                                 o a m d
GET    {lab}/repositories/{name}/commits/{snapshot}/changes           o a m v r d
POST   {lab}/repositories/{name}/turns                                o a m d
PUT    {lab}/repositories/{name}/turns/{turn_id}                      o a m d
DELETE {lab}/repositories/{name}/turns/{turn_id}                      o a m d
GET    {lab}/repositories/{name}/storage                              o a m v r d
GET    {lab}/repositories/{name}/storage/snapshots                    o a m v r d
GET    {lab}/storage-charges                                          o a b m v r
POST   {lab}/repositories/{name}/cleanings                            o a
GET    {lab}/repositories/{name}/cleanings                            o a
GET    {lab}/repositories/{name}/cleanings/{cleaning_id}              o a
GET    {lab}/repositories/{name}/arrivals                             o a m v r d
POST   {lab}/repositories/{name}/arrivals                             o a m d
PUT    {lab}/repositories/{name}/arrivals/{arrival_id}                o a m d
GET    {lab}/repositories/{name}/grants                               o a m v r d
PUT    {lab}/repositories/{name}/grants/{grantee}                     o a
DELETE {lab}/repositories/{name}/grants/{grantee}                     o a
GET    /v1/datasets                                                   *
GET    {lab}/repositories/{name}/datasets                             o a m v r d
GET    {lab}/repositories/{name}/dataset                              o a m v r d
GET    {lab}/repositories/{name}/preview                              o a m v r d
GET    {lab}/intake.yml                                               o a m v r
GET    {lab}/views                                                    o a m v r
POST   {lab}/views                                                    o a m
GET    {lab}/views/{name}                                             o a m v r d
PATCH  {lab}/views/{name}                                             o a m
DELETE {lab}/views/{name}                                             o a m
GET    {lab}/views/{name}/refreshes                                   o a m v r
POST   {lab}/views/{name}/refreshes                                   o a m
GET    {lab}/views/{name}/refreshes/{refresh_id}                      o a m v r
POST   {lab}/views/{name}/claims                                      o a m d
POST   {lab}/views/{name}/claims/{refresh_id}/renewal                 o a m d
PUT    {lab}/views/{name}/claims/{refresh_id}                         o a m d
GET    {lab}/publications                                             o a b m v u g r d
GET    {lab}/repositories/{name}/publication                          o a m v r d
PUT    {lab}/repositories/{name}/publication                          o a
DELETE {lab}/repositories/{name}/publication                          o a
GET    /v1/publications/{workspace}/{name}                            p
POST   /v1/publications/{workspace}/{name}/credentials                p
GET    {lab}/locations                                                o a m v r
POST   {lab}/locations                                                o a
GET    {lab}/locations/{name}                                         o a m v r
PATCH  {lab}/locations/{name}                                         o a
POST   {lab}/locations/{name}/checks                                  o a
DELETE {lab}/locations/{name}                                         o a
GET    /v1/limits                                                     x
PUT    /v1/limits/{workspace}                                         x
DELETE /v1/limits/{workspace}                                         x
GET    {lab}/limits                                                   o a m v r
GET    {lab}/locations/{name}/standbys                                o a m v r
PUT    {lab}/locations/{name}/standbys/{machine_type}                 o a
GET    {lab}/clusters                                                 o a m v r
POST   {lab}/clusters                                                 o a m
POST   {lab}/clusters/quotes                                          o a m
GET    {lab}/clusters/{name}                                          o a m v r
PATCH  {lab}/clusters/{name}                                          o a m
DELETE {lab}/clusters/{name}                                          o a m
GET    {lab}/clusters/{name}/security                                 o a m
GET    {lab}/clusters/{name}/log                                      o a m v r
GET    {lab}/secrets                                                  o a m
PUT    {lab}/secrets/{name}                                           o a m
DELETE {lab}/secrets/{name}                                           o a m
GET    /v1/keys                                                       x
POST   /v1/keys                                                       x
GET    /v1/kit                                                        *
GET    /v1/kit/{kit_name}/{file}                                      *
GET    /stac                                                          *
GET    /stac/conformance                                              *
GET    /stac/collections                                              *
GET    /stac/collections/{collection}                                 o a m v r d
GET    /stac/collections/{collection}/items                           o a m v r d
GET    /stac/collections/{collection}/items/{item}                    o a m v r d
GET    /stac/search                                                   *
POST   /stac/search                                                   *
"""

EXPECTED: dict[str, frozenset[str]] = {}
"""Names of callers, by ``METHOD /path``."""
for _line in _TABLE.strip().splitlines():
    _method, _path, *_letters = _line.split()
    _all = CALLERS if _letters == [ANYBODY] else [] if _letters == [NONE_OF_THESE] else _letters
    EXPECTED[f"{_method} {_path.replace('{lab}', '/v1/workspaces/{workspace}')}"] = frozenset(
        CALLERS[letter] for letter in _all
    )

KNOWS = {
    "owner": {"data", "machines", "money", "people", "audit"},
    "admin": {"data", "machines", "money", "people", "audit"},
    "billing": {"money", "people"},
    "member": {"data", "machines", "money", "people"},
    "viewer": {"data", "machines", "money", "people"},
    "auditor": {"people", "audit"},
    "owner by a token of scope read": {"data", "machines", "money", "people", "audit"},
    "owner by a task's token": {"data"},
    "operator who is no member": {"people"},
}
"""What of the workspace may stand in any answer to somebody; nothing for all others. An operator makes the accounts."""
