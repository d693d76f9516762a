"""WebP files. Their pictures are the two simplest there are: a lossless one of a single colour, whose codes have no
bits, and a lossy one of nothing but zero bits, which means "predict, no residual" all over."""

import struct

SUFFIX = "webp"
ANIMATION, EXIF, ALPHA, PROFILE = 0x02, 0x08, 0x10, 0x20


def chunk(kind, content, length=None):
    length = len(content) if length is None else length
    return kind + struct.pack("<I", length) + content + b"\0" * (len(content) & 1)


def file(*chunks, length=None):
    return chunk(b"RIFF", b"WEBP" + b"".join(chunks), length)


def three(number):
    return struct.pack("<I", number)[:3]


def extended(flags, width, height):
    return chunk(b"VP8X", bytes([flags, 0, 0, 0]) + three(width - 1) + three(height - 1))


def lossless(width, height, version=0, color=(200, 30, 90, 255)):
    bits = []

    def put(value, count):
        bits.extend(value >> i & 1 for i in range(count))

    put(0x2F, 8)
    put(width - 1, 14)
    put(height - 1, 14)
    put(1, 1)
    put(version, 3)
    put(0, 3)  # no transform, no colour cache, one group of codes
    red, green, blue, alpha = color
    for symbol in (green, red, blue, alpha, 0):
        put(1, 1)  # a simple code
        put(0, 1)  # of one symbol
        put(1, 1)  # of eight bits
        put(symbol, 8)
    bits.extend([0] * (-len(bits) % 8))
    packed = bytes(sum(bit << i for i, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8))
    return chunk(b"VP8L", packed)


def lossy(width, height, first_part=200, room=400, key_frame=True):
    tag = (0 if key_frame else 1) | 1 << 4 | first_part << 5
    return chunk(b"VP8 ", three(tag) + b"\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(room))


def frame(picture, width, height, left=0, top=0):
    return chunk(b"ANMF", three(left // 2) + three(top // 2) + three(width - 1) + three(height - 1) + three(100) + b"\0" + picture)


def plain_alpha(width, height):
    return chunk(b"ALPH", b"\0" + bytes((i * 5) & 0xFF for i in range(width * height)))


def cases():
    still = lossless(16, 12)
    animation = chunk(b"ANIM", bytes(6))
    good = file(lossy(16, 12))
    yield "lossy", good, "ok"
    yield "lossless", file(still), "ok"
    yield "lossy-with-alpha", file(extended(ALPHA, 16, 12), plain_alpha(16, 12), lossy(16, 12)), "ok"
    yield "animated", file(extended(ANIMATION, 16, 12), animation, frame(still, 16, 12), frame(lossless(4, 4), 4, 4, 2, 2)), "ok"
    yield "exif-first", file(extended(EXIF, 16, 12), chunk(b"EXIF", b"II*\0\xff\xff\xff\xff"), still), "ok"
    yield "profile-is-noise", file(extended(PROFILE, 16, 12), chunk(b"ICCP", b"noise" * 50), still), "ok"
    yield "unknown-chunk", file(extended(0, 16, 12), chunk(b"ZZZZ", b""), still), "ok"
    yield "length-of-the-file-wrong", file(still, length=7), "ok"
    yield "bytes-after-the-end", file(still) + b"more" * 50, "ok"
    yield "canvas-larger-than-the-picture", file(extended(0, 64, 48), still), "ok"
    yield "canvas-smaller-than-the-picture", file(extended(0, 4, 4), still), "undecodable@", "canvas"
    yield "frame-beside-the-canvas", file(extended(ANIMATION, 16, 12), animation, frame(still, 16, 12, 60000, 60000)), "undecodable@", "canvas"
    yield "large-in-few-bytes", file(lossless(2000, 2000)), "ok"

    yield "lossless-16383", file(lossless(16383, 16383)), "over-limit", "number of pixels"
    yield "lossy-16383", file(lossy(16383, 16383)), "over-limit", "number of pixels"
    yield "canvas-16777216", file(extended(0, 1 << 24, 1 << 24), still), "over-limit", "width"
    yield "frame-16777216", file(extended(ANIMATION, 16, 12), animation, frame(lossless(16384, 16384), 1 << 24, 1 << 24)), "undecodable@", "contradicts"
    yield "frames-100-of-2000-by-2000", file(extended(ANIMATION, 2000, 2000), animation, *[frame(lossless(2, 2), 2, 2)] * 100), "over-limit", "all frames"

    yield "only-a-name", b"RIFF\4\0\0\0WEBP", "undecodable@", "pixels"
    yield "no-picture", file(extended(0, 16, 12)), "undecodable@", "pixels"
    yield "extended-header-cut", file(chunk(b"VP8X", b"\0\0\0\0")), "undecodable@", "header"
    yield "lossy-chunk-empty", file(chunk(b"VP8 ", b"")), "undecodable@", "header"
    yield "lossless-chunk-empty", file(chunk(b"VP8L", b"")), "undecodable@", "header"
    yield "lossy-width-0", file(lossy(0, 12)), "undecodable@", "header"
    yield "lossy-start-code", good.replace(b"\x9d\x01\x2a", b"\x9d\x01\x2b"), "undecodable@", "header"
    yield "lossy-not-a-key-frame", file(lossy(16, 12, key_frame=False)), "undecodable"
    yield "lossy-part-too-long", file(lossy(16, 12, first_part=5000)), "undecodable"
    yield "lossy-cut", file(lossy(160, 120, first_part=20, room=20)), "undecodable"
    yield "lossless-version-7", file(lossless(16, 12, version=7)), "undecodable"
    yield "lossless-signature", file(still.replace(b"\x2f", b"\x2e", 1)), "undecodable@", "header"
    yield "lossless-cut", file(still)[:-6], "undecodable"
    yield "alpha-cut", file(extended(ALPHA, 16, 12), plain_alpha(4, 4), lossy(16, 12)), "undecodable"
    yield "alpha-alone", file(extended(ALPHA, 16, 12), plain_alpha(16, 12)), "undecodable@", "pixels"
    yield "frame-contradicts-its-picture", file(extended(ANIMATION, 16, 12), animation, frame(lossless(4, 4), 16, 12)), "undecodable@", "contradicts"
    yield "frame-cut", file(extended(ANIMATION, 16, 12), animation, chunk(b"ANMF", bytes(9))), "undecodable@", "cut off"
    yield "chunk-of-4-gigabytes", file(extended(0, 16, 12), chunk(b"EXIF", b"II", length=0xFFFFFFFF), still), "undecodable@", "pixels"
