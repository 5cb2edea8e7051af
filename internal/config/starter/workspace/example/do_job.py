"""An example job: takes an argument, uses a module beside it, writes a file, answers.

Ask for it with: bellhop ask example do python 5
"""

import argparse
import os
from pathlib import Path

from shared_lib import greeting  # PYTHONPATH is the workspace


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--some-arg", type=int, default=3, help="how often to greet")
    args = parser.parse_args()

    who = os.environ.get("BELLHOP_PRINCIPAL", "world")
    lines = greeting.greetings(who, args.some_arg)

    # WRITEABLE_DIR is this service's own folder for what should outlive a run.
    folder = Path(os.environ.get("WRITEABLE_DIR", "."))
    report = folder / "greetings.txt"
    report.write_text("\n".join(lines) + "\n", encoding="utf-8")

    # What is printed is what the asker is told.
    print(f"Greeted {who} {len(lines)} times; the last one was: {lines[-1]}")
    print(f"All of it is in {report.name}.")


if __name__ == "__main__":
    main()
