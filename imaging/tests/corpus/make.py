#!/usr/bin/env python3
"""Writes the corpus of odd, malformed and malicious files, and the table of what must become of each.

    imaging/tests/corpus/make.py

One module for each format declares its cases: a name, the bytes, the outcome, and words that the error must contain.
The files and `expected.txt` are committed: the tests read them and need no Python. The same script always writes the
same files; the compressed ones also depend on the zlib that Python is linked with.
"""

import pathlib
import sys

sys.dont_write_bytecode = True

import avif  # noqa: E402
import gif  # noqa: E402
import jpeg  # noqa: E402
import png  # noqa: E402
import webp  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
MOST_BYTES = 400_000
HEADER = """\
# What becomes of each file: written by make.py, read by tests/it/corpus.rs.
#
#   ok, truncated                       rendered, and marked as truncated or not
#   unsupported, undecodable, over-limit    the kind of the error; @ means that it names the byte
#
# and words that the error contains.
"""


def main() -> None:
    lines, total = [], 0
    for module in (jpeg, png, webp, gif, avif):
        folder = HERE / module.__name__
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, content, outcome, *words in module.cases():
            file = folder / f"{name}.{module.SUFFIX}"
            assert not file.exists(), f"{file} is declared twice"
            file.write_bytes(content)
            total += len(content)
            path = f"{module.__name__}/{file.name}"
            lines.append(f"{path:<44} {outcome:<13} {' '.join(words)}".rstrip())
    assert total < MOST_BYTES, f"{total} bytes are more than a repository should carry"
    (HERE / "expected.txt").write_text(HEADER + "\n".join(lines) + "\n")
    print(f"{len(lines)} files, {total} bytes")


if __name__ == "__main__":
    main()
