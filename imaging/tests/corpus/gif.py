"""GIF files: blocks, and LZW that never uses its dictionary."""

import struct

SUFFIX = "gif"
PALETTE = bytes((i * 7) & 0xFF for i in range(3 * 128))
END = b"\x3b"


def screen(width, height, palette=PALETTE):
    flags = 0xF6 if palette else 0x70
    return b"GIF89a" + struct.pack("<HHBBB", width, height, flags, 0, 0) + palette


def sub_blocks(content):
    parts = [content[i : i + 255] for i in range(0, len(content), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def codes(values):
    """Codes of eight bits: with seven bits a pixel, and the table cleared before it makes them longer."""
    return b"\x07" + sub_blocks(bytes(values))


def lzw(pixels):
    clear, end = 0x80, 0x81
    values = []
    for index, pixel in enumerate(pixels):
        if index % 100 == 0:
            values.append(clear)
        values.append(pixel)
    return codes([*values, end])


def frame(width, height, left=0, top=0, content=None, flags=0, palette=b""):
    pixels = [(x * 3 + y * 5) & 0x7F for y in range(height) for x in range(width)] if content is None else []
    content = lzw(pixels) if content is None else content
    return b"\x2c" + struct.pack("<HHHHB", left, top, width, height, flags) + palette + content


def control(flags=1, transparent=0):
    return b"\x21\xf9\x04" + bytes([flags, 10, 0, transparent]) + b"\0"


def cases():
    good = screen(16, 12) + frame(16, 12) + END
    yield "still", good, "ok"
    yield "transparent", screen(16, 12) + control() + frame(16, 12) + END, "ok"
    yield "interlaced", screen(16, 12) + frame(16, 12, flags=0x40) + END, "ok"
    yield "local-palette", screen(16, 12, b"") + frame(16, 12, flags=0x86, palette=PALETTE) + END, "ok"
    yield "version-87", good.replace(b"89a", b"87a", 1), "ok"
    yield "animated", screen(16, 12) + control() + frame(16, 12) + control() + frame(5, 5, 3, 3) + END, "ok"
    yield "comment", screen(16, 12) + b"\x21\xfe" + sub_blocks(b"hello " * 90) + frame(16, 12) + END, "ok"
    yield "unknown-extension", screen(16, 12) + b"\x21\x77" + sub_blocks(b"x") + frame(16, 12) + END, "ok"
    yield "screen-0", screen(0, 0) + frame(16, 12) + END, "ok"
    yield "frame-beside-the-screen", screen(16, 12) + frame(16, 12, 60000, 60000) + END, "ok"
    yield "frame-larger-than-the-screen", screen(4, 4) + frame(40, 40) + END, "ok"
    yield "end-missing", good[:-1], "ok"
    yield "bytes-after-the-end", good + b"more" * 50, "ok"
    yield "second-frame-is-noise", good[:-1] + frame(9, 9, content=b"\x07" + sub_blocks(b"\xff" * 30)) + END, "ok"

    yield "screen-65535", screen(65535, 65535) + frame(16, 12) + END, "over-limit", "width"
    yield "frame-65535", screen(16, 12) + frame(65535, 65535, content=codes([0x80, 0x81])) + END, "over-limit", "width"
    yield "pixels-16000-by-16000", screen(16000, 16000) + frame(16, 12) + END, "over-limit", "number of pixels"
    yield "frames-100-of-2000-by-2000", screen(2000, 2000) + 100 * frame(1, 1) + END, "over-limit", "all frames"
    yield "empty-frame-on-a-large-screen", screen(2000, 2000) + frame(2000, 2000, content=codes([0x80, 0x81])) + END, "undecodable"

    yield "only-a-name", b"GIF89a", "undecodable@", "header"
    yield "no-frame", screen(16, 12) + END, "undecodable@", "first frame"
    yield "palette-cut", screen(16, 12)[:50], "undecodable@", "first frame"
    yield "frame-of-no-size", screen(16, 12) + frame(0, 12) + END, "undecodable"
    yield "no-palette", screen(16, 12, b"") + frame(16, 12) + END, "undecodable"
    yield "code-size-0", screen(16, 12) + frame(16, 12, content=b"\0" + sub_blocks(b"\x44" * 20)) + END, "undecodable"
    yield "code-size-200", screen(16, 12) + frame(16, 12, content=b"\xc8" + sub_blocks(b"\x44" * 20)) + END, "undecodable"
    yield "code-without-meaning", screen(16, 12) + frame(16, 12, content=codes([0x80, 1, 0xFF, 0xFF])) + END, "undecodable"
    yield "codes-without-a-clear", screen(16, 12) + frame(16, 12, content=codes([1] * 80)) + END, "undecodable"
    yield "no-data", screen(16, 12) + frame(16, 12, content=b"\x07\0") + END, "truncated"
    yield "introducer-unknown", screen(16, 12) + b"\x99" + frame(16, 12) + END, "undecodable@", "first frame"
    yield "cut", good[: len(good) - 100], "truncated"
    yield "cut-before-the-codes", good[: good.index(b"\x2c\0\0\0\0") + 10], "undecodable"
