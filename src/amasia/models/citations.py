"""How a dataset is cited: DataCite's parts from its attributes, its version from its snapshot."""

import json
import re
from collections.abc import Mapping
from typing import Any

from amasia.models.datasets import Details

_PARTS = re.compile(r"\s*(?:;|\band\b|&)\s*")
_DOI = re.compile(r"10\.\d{4,9}/\S+")


def every(found: Details, url: str = "") -> dict[str, str]:
    """As ``text``, ``bibtex`` and ``cff``.

    Parameters
    ----------
    url
        Of its page; used where it has no DOI.
    """
    return {"text": text(found, url), "bibtex": bibtex(found, url), "cff": cff(found, url)}


def text(found: Details, url: str = "") -> str:
    """Creator (year): title. Version. Publisher. Type. Identifier: the order that DataCite recommends."""
    where = f"https://doi.org/{doi(found)}" if doi(found) else url or found.address
    names = "; ".join(creators(found)) or found.created_by
    parts = (f"{names} ({_year(found)}): {_title(found)}", f"Version {found.snapshot}", publisher(found), "Dataset",
             where)  # fmt: skip
    return ". ".join(part for part in parts if part)


def bibtex(found: Details, url: str = "") -> str:
    key = re.sub(r"\W+", "_", f"{found.repository} {found.group}".strip("/ ")).strip("_")
    fields = {
        "author": " and ".join(creators(found)) or found.created_by,
        "title": f"{{{_title(found)}}}",
        "year": str(_year(found)),
        "publisher": publisher(found),
        "version": found.snapshot,
        "doi": doi(found),
        "url": url or found.address,
        "note": license_of(found),
    }
    lines = ",\n".join(f"  {name} = {{{_braced(value)}}}" for name, value in fields.items() if value)
    return f"@misc{{{key},\n{lines}\n}}"


def cff(found: Details, url: str = "") -> str:
    """A ``CITATION.cff``. Values are quoted as JSON, which YAML reads."""
    lines = ["cff-version: 1.2.0", "message: If you use this dataset, please cite it.", "type: dataset",
             f"title: {json.dumps(_title(found))}", f"version: {json.dumps(found.snapshot)}",
             f"date-released: {json.dumps(f'{found.committed_at:%Y-%m-%d}')}", "authors:"]  # fmt: skip
    lines += [f"  - name: {json.dumps(name)}" for name in creators(found) or [found.created_by or "unknown"]]
    optional = {"doi": doi(found), "url": url if url.startswith("http") else "", "license": _spdx(found)}
    lines += [f"{name}: {json.dumps(value)}" for name, value in optional.items() if value]
    return "\n".join(lines) + "\n"


def creators(found: Details) -> list[str]:
    said = _said(found.attributes, "creator", "creator_name", "author", "authors", "contact_person")
    names = [part for part in _PARTS.split(said) if part]
    return names or ([institution] if (institution := _said(found.attributes, "institution", "institute")) else [])


def publisher(found: Details) -> str:
    return _said(found.attributes, "publisher", "publisher_name", "institution", "institute") or found.workspace


def doi(found: Details) -> str:
    said = _said(found.attributes, "doi", "DOI", "identifier_product_doi", "id", "identifier")
    match = _DOI.search(said)
    return match[0].rstrip(".") if match else ""


def license_of(found: Details) -> str:
    return _said(found.attributes, "license", "licence", "rights")


def _spdx(found: Details) -> str:
    """Only what looks like a name of SPDX, because the file's format takes no other."""
    said = license_of(found)
    return said if re.fullmatch(r"[A-Z][A-Za-z0-9.+-]+-\d[\d.]*(?:-[A-Za-z]+)?", said) else ""


def _year(found: Details) -> int:
    said = re.match(r"(\d{4})", _said(found.attributes, "date_issued", "date_created", "date_modified"))
    return int(said[1]) if said else found.committed_at.year


def _title(found: Details) -> str:
    return found.title or found.repository


def _said(attributes: Mapping[str, Any], *names: str) -> str:
    return next((str(attributes[name]).strip() for name in names if str(attributes.get(name) or "").strip()), "")


def _braced(value: str) -> str:
    """Braces in balance, or BibTeX reads on into the next entry."""
    return value if value.count("{") == value.count("}") else value.replace("{", "(").replace("}", ")")
