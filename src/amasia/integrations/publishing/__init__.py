"""Published repositories for tools that speak map tiles, OGC EDR or OPeNDAP: an optional process of its own.

It is a client whose token may read what is published and nothing else. Needs ``amasia[publish]``.
"""
