"""Views: datasets derived from a repository, kept current from its commits by computing what they touch.

A library: it works with two Icechunk repositories, and needs no control plane.
"""

from amasia.stores.views.definitions import Definition, define
from amasia.stores.views.plans import Plan, plan
from amasia.stores.views.refreshes import applied, refresh
from amasia.stores.views.sketches import histogram, quantile_sketch, regrid

__all__ = ["Definition", "Plan", "applied", "define", "histogram", "plan", "quantile_sketch", "refresh", "regrid"]
