"""``make down``: stop all that the demo started. Data stay in the demo's folder."""

import sys

from demo.places import ROOT, Failed, Place, amasia


def main() -> int:
    place = Place(ROOT / ".demo")
    if not place.home.exists():
        print("The demo was never started here.")
        return 0
    try:
        amasia(place, "down", "--yes")
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Everything that the demo started has ended. Its data stay in {place.base}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
