"""PNG files: chunks with right lengths and checksums around whatever content."""

import struct
import zlib

SUFFIX = "png"
SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
IEND = (b"IEND", b"")


def chunk(kind, content):
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def file(*chunks):
    return SIGNATURE + b"".join(chunk(kind, content) for kind, content in chunks)


def header(width, height, color=RGB, depth=8, interlaced=0):
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)


def rows(width, height, color=RGB, depth=8):
    """Filtered rows of a pattern; the filters take turns."""
    length = (width * CHANNELS[color] * depth + 7) // 8
    return b"".join(
        bytes([y % 5]) + bytes((x * 7 + y * 13) & 0x3F for x in range(length)) for y in range(height)
    )


def data(raw):
    return b"IDAT", zlib.compress(raw, 9)


def interlaced_rows(width, height):
    """8-bit RGB in the seven passes of Adam7."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b""
    for left, top, right, down in passes:
        columns = len(range(left, width, right))
        for y in range(top, height, down):
            if columns:
                raw += b"\0" + bytes((x * 7 + y * 13) & 0xFF for x in range(3 * columns))
    return raw


def frame_control(sequence, width, height):
    return b"fcTL", struct.pack(">IIIIIHHBB", sequence, width, height, 0, 0, 1, 10, 0, 0)


def flipped(content, at):
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def cases():
    size = 16, 12
    good = file(header(*size), data(rows(*size)), IEND)
    idat = good.index(b"IDAT")
    name = b"icc\0\0"
    zeros = zlib.compress(bytes(16 << 20), 9)
    pixels = data(rows(*size))

    yield "rgb", good, "ok"
    for color, depth in [(GREY, 1), (GREY, 2), (GREY, 4), (GREY, 16), (GREY_ALPHA, 8), (GREY_ALPHA, 16), (RGB, 16), (RGBA, 8), (RGBA, 16)]:
        yield f"type-{color}-depth-{depth}", file(header(*size, color, depth), data(rows(*size, color, depth)), IEND), "ok"
    palette = b"PLTE", bytes(range(192))
    for depth in (2, 4, 8):
        indices = data(b"".join(b"\0" + bytes([y * 5 & 0x33] * ((16 * depth + 7) // 8)) for y in range(12)))
        yield f"palette-{depth}", file(header(*size, PALETTE, depth), palette, (b"tRNS", b"\0\x80"), indices, IEND), "ok"
    yield "interlaced", file(header(*size, interlaced=1), data(interlaced_rows(*size)), IEND), "ok"
    yield "interlaced-1x1", file(header(1, 1, interlaced=1), data(interlaced_rows(1, 1)), IEND), "ok"
    yield "empty-data-chunks", file(header(*size), (b"IDAT", b""), *[(b"IDAT", pixels[1][i : i + 1]) for i in range(len(pixels[1]))], (b"IDAT", b""), IEND), "ok"
    yield "bytes-after-the-end", good + b"more" * 40, "ok"
    yield "unknown-chunk", file(header(*size), (b"zzZz", b""), pixels, IEND), "ok"
    yield "checksum-of-text", flipped(file(header(*size), (b"tEXt", b"a\0b"), pixels, IEND), 33 + 11 + 2), "ok"

    second = b"fdAT", struct.pack(">I", 2) + zlib.compress(rows(*size))
    yield "animated", file(header(*size), (b"acTL", struct.pack(">II", 2, 0)), frame_control(0, *size), pixels, frame_control(1, *size), second, IEND), "ok"
    yield "animated-behind-a-still", file(header(*size), (b"acTL", struct.pack(">II", 1, 0)), pixels, frame_control(0, *size), second, IEND), "ok"
    yield "animated-frame-too-large", file(header(*size), (b"acTL", struct.pack(">II", 2, 0)), frame_control(0, 60000, 60000), pixels, IEND), "undecodable"
    yield "animated-4-billion-frames", file(header(*size), (b"acTL", struct.pack(">II", 0xFFFFFFFF, 0)), pixels, IEND), "over-limit", "all frames"

    yield "side-2147483647", file(header(0x7FFFFFFF, 0x7FFFFFFF, RGBA), pixels, IEND), "over-limit", "width"
    yield "side-65535", file(header(65535, 65535, RGBA), pixels, IEND), "over-limit", "width"
    yield "height-4294967295", file(header(1, 0xFFFFFFFF), pixels, IEND), "over-limit", "height"
    yield "pixels-16000-by-16000", file(header(16000, 16000), pixels, IEND), "over-limit", "number of pixels"
    yield "bomb-in-the-pixels", file(header(*size), (b"IDAT", zeros), IEND), "ok"
    yield "bomb-in-the-profile", file(header(*size), (b"iCCP", name + zeros), pixels, IEND), "ok"
    yield "bomb-in-the-text", file(header(*size), (b"zTXt", b"a\0\0" + zeros), pixels, IEND), "ok"
    yield "bomb-in-the-international-text", file(header(*size), (b"iTXt", b"a\0\1\0\0\0" + zeros), pixels, IEND), "ok"
    yield "profile-without-a-name", file(header(*size), (b"iCCP", b"x" * 90), pixels, IEND), "ok"
    yield "profile-empty", file(header(*size), (b"iCCP", b""), pixels, IEND), "ok"
    yield "exif-pointing-outside", file(header(*size), (b"eXIf", b"II*\0\xff\xff\xff\xff"), pixels, IEND), "ok"

    yield "only-a-signature", SIGNATURE, "undecodable@", "header"
    yield "header-cut", good[:25], "undecodable@", "header"
    yield "header-not-first", file((b"tEXt", b"a\0b"), header(*size), pixels, IEND), "undecodable@", "IHDR"
    yield "header-checksum", flipped(good, 30), "undecodable"
    yield "width-0", file(header(0, 12), pixels, IEND), "undecodable@", "zero"
    yield "depth-3", file(header(*size, RGB, 3), pixels, IEND), "undecodable"
    yield "color-type-5", file(header(*size, 2, 8)[:1] + (struct.pack(">IIBBBBB", *size, 8, 5, 0, 0, 0),), pixels, IEND), "undecodable"
    yield "interlace-method-7", file(header(*size, interlaced=7), pixels, IEND), "undecodable"
    yield "two-headers", file(header(*size), header(99, 99), pixels, IEND), "undecodable"
    yield "no-pixels", file(header(*size), IEND), "undecodable@", "pixels"
    yield "palette-missing", file(header(*size, PALETTE), data(rows(*size, PALETTE)), IEND), "undecodable"
    yield "palette-of-1000-bytes", file(header(*size, PALETTE), (b"PLTE", bytes(1000)), data(rows(*size, PALETTE)), IEND), "undecodable"
    yield "palette-index-outside", file(header(*size, PALETTE), (b"PLTE", bytes(6)), data(rows(*size, PALETTE)), IEND), "ok"
    yield "filter-9", file(header(*size), data(b"\x09" + rows(*size)[1:]), IEND), "undecodable"
    yield "data-is-noise", file(header(*size), (b"IDAT", bytes(range(200, 0, -1))), IEND), "undecodable"
    yield "data-checksum", flipped(good, idat + 20), "undecodable"
    yield "data-of-too-few-rows", file(header(*size), data(rows(16, 5)), IEND), "undecodable"
    yield "data-chunk-empty", file(header(*size), (b"IDAT", b""), IEND), "undecodable"
    yield "chunk-of-4-gigabytes", good[: idat - 4] + b"\xff\xff\xff\xff" + good[idat:], "truncated"
    yield "end-missing", good[:-12], "truncated"
    yield "cut", good[: idat + 4 + len(pixels[1]) // 2], "truncated"
    yield "interlaced-cut", file(header(*size, interlaced=1), data(interlaced_rows(*size)), IEND)[:-60], "truncated"
