"""AVIF files. Their pictures are two tiny ones that an encoder (libaom) made of checks; everything around them, and the
sequence headers that lie, are written here."""

import struct

SUFFIX = "avif"
# 16 x 12 pixels, 8 bits, 4:2:0: the units of a picture (temporal delimiter, sequence header, frame).
STILL = bytes.fromhex("12000a09180cfef92021a0d080321946300000101011691681047f406f9e78a34736fec74be79410")
# The same size, only luma: transparency.
GREY = bytes.fromhex("12000a08180cfef96021a0d4320d46d0000044a59ef016f66e9323")
URN = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"


def box(kind, *content, length=None):
    content = b"".join(content)
    length = len(content) + 8 if length is None else length
    return struct.pack(">I", length) + kind + content


def full(kind, *content, version=0, flags=0):
    return box(kind, struct.pack(">I", version << 24 | flags), *content)


def size(width, height):
    return full(b"ispe", struct.pack(">II", width, height))


def codec(profile=0, channels=0x0C):
    return box(b"av1C", bytes([0x81, profile << 5, channels, 0]))


def nclx(primaries=1, transfer=13, matrix=6):
    return box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, matrix, 0x80))


def item(number, kind=b"av01", protection=0):
    return full(b"infe", struct.pack(">HH", number, protection), kind, b"\0", version=2)


def brands(major=b"avif", *others):
    return box(b"ftyp", major, bytes(4), *(others or (b"avif", b"mif1", b"miaf")))


def file(coded=STILL, properties=None, items=None, references=b"", alpha=None, extents=None, associated=None, head=None, primary=1, end=b"", drop=()):
    """A file of one picture, and perhaps of a second one that is its transparency."""
    properties = [size(16, 12), codec(), nclx()] if properties is None else properties
    pictures = [coded] + ([alpha] if alpha else [])
    head = brands() if head is None else head
    items = [item(number + 1) for number in range(len(pictures))] if items is None else items
    if associated is None:
        associated = [(1, [n + 1 for n in range(len(properties))])]
        if alpha:
            shown = len(properties)
            properties = properties + [full(b"auxC", URN), codec(channels=0x1C)]
            associated = associated + [(2, [1, shown + 1, shown + 2])]

    def meta(start):
        places, at = [], start
        for number, picture in enumerate(pictures):
            place = extents if extents and number == 0 else [(at, len(picture))]
            places.append(struct.pack(">HHH", number + 1, 0, len(place)) + b"".join(struct.pack(">II", *extent) for extent in place))
            at += len(picture)
        boxes = {
            b"hdlr": full(b"hdlr", bytes(4), b"pict", bytes(13)),
            b"pitm": full(b"pitm", struct.pack(">H", primary)),
            b"iloc": full(b"iloc", b"\x44\0", struct.pack(">H", len(places)), *places),
            b"iinf": full(b"iinf", struct.pack(">H", len(items)), *items),
            b"iref": full(b"iref", references) if references else b"",
            b"iprp": box(
                b"iprp",
                box(b"ipco", *properties),
                full(b"ipma", struct.pack(">I", len(associated)), *[struct.pack(">HB", number, len(indices)) + bytes(indices) for number, indices in associated]),
            ),
        }
        return full(b"meta", *[content for kind, content in boxes.items() if kind not in drop])

    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", *pictures) + end


def unit(kind, content):
    assert len(content) < 128
    return bytes([kind << 3 | 2, len(content)]) + content


def sequence(width, height):
    """A reduced still-picture header of the main profile: 8 bits, 4:2:0."""
    bits = "000" "1" "1" "01000" "1111" "1111" f"{width - 1:016b}{height - 1:016b}" "000" "000" "0" "0" "0" "1" "00" "0" "0" "1"
    bits += "0" * (-len(bits) % 8)
    return unit(1, int(bits, 2).to_bytes(len(bits) // 8, "big"))


def noise(count):
    return bytes(i * 97 + i // 7 * 31 & 0xFF for i in range(count))


AUXILIARY = box(b"auxl", struct.pack(">HHH", 2, 1, 1))


def cases():
    frame = STILL[STILL.index(b"\x32") :]
    yield "still", file(), "ok"
    yield "with-alpha", file(alpha=GREY, references=AUXILIARY), "ok"
    yield "alpha-of-nobody", file(alpha=GREY), "ok"
    yield "brand-mif1", file(head=brands(b"mif1", b"avif", b"mif1")), "ok"
    yield "bytes-after-the-end", file(end=b"\0\0\0\x08free"), "ok"
    yield "half-a-box-after-the-end", file(end=b"\0\0"), "ok"
    yield "unknown-property", file(properties=[size(16, 12), codec(), box(b"zzzz", noise(20))]), "ok"
    yield "no-colour-box", file(properties=[size(16, 12), codec()]), "ok"
    yield "profile-is-noise", file(properties=[size(16, 12), codec(), box(b"colr", b"prof", noise(300))]), "ok"
    yield "turned-four-times", file(properties=[size(16, 12), codec()] + [box(b"irot", b"\1")] * 4), "ok"

    yield "grid", file(items=[item(1, b"grid")]), "unsupported", "grid"
    yield "overlay", file(items=[item(1, b"iovl")]), "unsupported", "overlay"
    yield "hevc", file(items=[item(1, b"hvc1")]), "unsupported", "not coded as AV1"
    yield "encrypted", file(items=[item(1, protection=1)]), "unsupported", "encryption"
    yield "hdr", file(properties=[size(16, 12), codec(), nclx(9, 16, 9)]), "unsupported", "HDR"
    yield "matrix-of-ictcp", file(properties=[size(16, 12), codec(), nclx(9, 13, 14)]), "unsupported", "matrix"
    yield "identity-at-half-resolution", file(properties=[size(16, 12), codec(), nclx(1, 13, 0)]), "unsupported", "matrix"
    yield "clean-aperture", file(properties=[size(16, 12), codec(), box(b"clap", bytes(32))]), "unsupported", "aperture"
    yield "layer", file(properties=[size(16, 12), codec(), box(b"lsel", bytes(2))]), "unsupported", "layers"
    yield "essential-and-unknown", file(properties=[size(16, 12), codec(), box(b"zzzz")], associated=[(1, [1, 2, 0x83])]), "unsupported", "essential"
    yield "two-frames", file(STILL + frame), "unsupported", "several frames"
    yield "frames-201", file(STILL + frame * 200), "unsupported", "several frames"
    yield "two-pieces", file(extents=[(300, 10), (310, 10)]), "unsupported", "several pieces"
    yield "three-pieces", file(extents=[(300, 10)] * 3), "unsupported", "several pieces"
    yield "unit-without-a-length", file(STILL[:2] + b"\x08" + STILL[3:]), "unsupported", "unit without a length"
    yield "tile-list", file(STILL + unit(8, bytes(4))), "unsupported", "list of tiles"

    yield "width-65535", file(sequence(65535, 65535) + frame, [size(65535, 65535), codec()]), "over-limit", "width"
    yield "width-65536-in-the-stream-only", file(sequence(65536, 65536) + frame), "undecodable@", "contradict"
    yield "width-65535-in-the-container-only", file(properties=[size(65535, 65535), codec()]), "over-limit", "width"
    yield "width-4294967295", file(properties=[size(0xFFFFFFFF, 0xFFFFFFFF), codec()]), "over-limit", "width"
    yield "pixels-16000-by-16000", file(sequence(16000, 16000) + frame, [size(16000, 16000), codec()]), "over-limit", "number of pixels"
    yield "frame-of-noise-of-256-by-256", file(sequence(256, 256) + unit(6, b"\x10" + noise(100)), [size(256, 256), codec()]), "ok"
    yield "frame-of-another-sequence", file(sequence(64, 64) + frame, [size(64, 64), codec()]), "ok"
    yield "size-larger-than-the-stream", file(properties=[size(17, 12), codec()]), "undecodable@", "contradict"
    yield "size-smaller-than-the-stream", file(properties=[size(16, 11), codec()]), "undecodable@", "contradict"
    yield "size-of-0", file(properties=[size(0, 12), codec()]), "undecodable@", "zero"
    yield "meta-of-66-kilobytes", file(properties=[size(16, 12), codec(), box(b"free", bytes(66_000))]), "over-limit", "metadata"

    yield "no-size", file(properties=[codec()]), "undecodable@", "'ispe'"
    yield "no-configuration", file(properties=[size(16, 12)]), "undecodable@", "'av1C'"
    yield "configuration-of-another", file(properties=[size(16, 12), codec(1, 0)]), "undecodable@", "'av1C'"
    for kind in (b"pitm", b"iloc", b"iinf", b"iprp"):
        yield f"no-{kind.decode()}", file(drop=[kind]), "undecodable@", f"'{kind.decode()}'"
    yield "only-a-name", brands(), "undecodable@", "'meta'"
    yield "no-such-primary", file(primary=9), "undecodable@", "item 9"
    yield "property-that-is-not-there", file(associated=[(1, [1, 2, 99])]), "undecodable@", "property 99"
    yield "property-65-times", file(associated=[(1, [1, 2] + [3] * 63)]), "undecodable@", "64"
    yield "associations-4294967295", file().replace(b"ipma\0\0\0\0\0\0\0\1", b"ipma\0\0\0\0\xff\xff\xff\xff"), "undecodable@"
    yield "piece-past-the-end", file(extents=[(300, 1 << 30)]), "undecodable@", "of"
    yield "piece-at-4294967295", file(extents=[(0xFFFFFFFF, 0xFFFFFFFF)]), "undecodable@"
    yield "piece-of-the-header", file(extents=[(0, 40)]), "unsupported", "unit without a length"
    yield "box-of-0-bytes-in-meta", file().replace(struct.pack(">I", 20) + b"ispe", bytes(4) + b"ispe"), "undecodable@"
    yield "box-of-7-bytes", file().replace(struct.pack(">I", 20) + b"ispe", b"\0\0\0\7ispe"), "undecodable@", "7 bytes"
    yield "box-of-4-gigabytes", file().replace(struct.pack(">I", 20) + b"ispe", b"\xff\xff\xff\xffispe"), "undecodable@", "4294967295"
    yield "box-of-2-to-the-64", brands() + b"\0\0\0\1meta" + b"\xff" * 8 + bytes(40), "undecodable@"
    yield "meta-cut", file()[:90], "undecodable@"
    yield "pixels-cut", file()[:-10], "undecodable@"
    yield "no-frame", file(STILL[: STILL.index(b"\x32")]), "undecodable@", "pixels"
    yield "no-sequence-header", file(frame), "undecodable@", "sequence header"
    yield "two-sequence-headers", file(STILL[: STILL.index(b"\x32")] * 2 + frame), "undecodable@", "two sequence headers"
    yield "sequence-header-cut", file(unit(1, b"\x18") + frame), "undecodable@", "sequence header"
    yield "unit-longer-than-the-picture", file(STILL[:-len(frame)] + b"\x32\x7f" + frame[2:]), "undecodable@", "unit"
    yield "length-of-9-bytes", file(STILL[:-len(frame)] + b"\x32" + b"\xff" * 9), "undecodable@", "unit"
    yield "frame-is-noise", file(STILL[:-len(frame)] + unit(6, frame[2:4] + noise(100))), "ok"
    yield "frame-is-empty", file(STILL[:-len(frame)] + unit(6, b"")), "undecodable@"
    yield "frame-is-zeros", file(STILL[:-len(frame)] + unit(6, bytes(60))), "ok"
    yield "alpha-of-another-size", file(alpha=sequence(17, 12) + frame, references=AUXILIARY), "undecodable@", "contradict"
    yield "alpha-is-noise", file(alpha=noise(80), references=AUXILIARY), "unsupported"
    yield "alpha-is-cut", file(alpha=GREY[:-6], references=AUXILIARY), "undecodable@"
