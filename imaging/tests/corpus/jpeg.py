"""JPEG files: an encoder of coefficients, just large enough to write every kind of scan, and segments to spoil.

All Huffman tables are plain: each symbol has a code of the same length (four bits for DC, eight for AC), which is its
place in the table. Letters in comments refer to clauses of ITU-T T.81.
"""

import struct

SUFFIX = "jpg"
SOF0, SOF1, SOF2, SOF3, SOF5, SOF9, SOF10 = 0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC9, 0xCA
DHT, SOI, EOI, SOS, DQT, DNL, DRI, DHP = 0xC4, 0xD8, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xDE
APP0, APP1, APP2, APP14, COM = 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
START, END = b"\xff\xd8", b"\xff\xd9"

DC_SYMBOLS = list(range(12))
# Size 1 to 10 behind a run of 0 to 15, a run of sixteen, and the ends of bands (0x00 to 0xE0) of progressive scans.
AC_SYMBOLS = [run << 4 for run in range(16)] + [run << 4 | size for run in range(16) for size in range(1, 11)]


def segment(marker, content=b"", length=None):
    length = len(content) + 2 if length is None else length
    return b"\xff" + bytes([marker]) + struct.pack(">H", length) + content


def quantisation(table=0, step=8, wide=False):
    steps = [step + index for index in range(64)]
    coded = b"".join(struct.pack(">H", value * 5 if wide else value)[0 if wide else 1 :] for value in steps)
    return segment(DQT, bytes([(1 if wide else 0) << 4 | table]) + coded)


def huffman(kind, table, symbols, bits):
    counts = [0] * 16
    counts[bits - 1] = len(symbols)
    return segment(DHT, bytes([kind << 4 | table, *counts, *symbols]))


TABLES = quantisation() + huffman(0, 0, DC_SYMBOLS, 4) + huffman(1, 0, AC_SYMBOLS, 8)


def frame(width, height, factors=((1, 1),), marker=SOF0, precision=8, ids=None, tables=None):
    """The frame header (B.2.2); `factors` are those of each component."""
    ids = ids or range(1, len(factors) + 1)
    tables = tables or [0] * len(factors)
    parts = b"".join(bytes([i, h << 4 | v, t]) for i, (h, v), t in zip(ids, factors, tables))
    return segment(marker, struct.pack(">BHHB", precision, height, width, len(factors)) + parts)


def scan(ids=(1,), band=(0, 63), high=0, low=0, tables=0):
    """The scan header (B.2.3)."""
    parts = b"".join(bytes([i, tables]) for i in ids)
    return segment(SOS, bytes([len(ids)]) + parts + bytes([*band, high << 4 | low]))


class Bits:
    """Entropy-coded data: bits from the highest on, a zero stuffed behind each 0xFF (B.1.1.5)."""

    def __init__(self):
        self.bits = []

    def put(self, value, count):
        self.bits.extend(value >> i & 1 for i in reversed(range(count)))

    def dc(self, size):
        self.put(DC_SYMBOLS.index(size), 4)

    def ac(self, symbol):
        self.put(AC_SYMBOLS.index(symbol), 8)

    def signed(self, value, size):
        self.put(value if value >= 0 else value + (1 << size) - 1, size)

    def bytes(self):
        bits = self.bits + [1] * (-len(self.bits) % 8)
        packed = bytes(int("".join(map(str, bits[at : at + 8])), 2) for at in range(0, len(bits), 8))
        return packed.replace(b"\xff", b"\xff\0")


def coefficients(seed):
    """One block in zigzag order: a few coefficients, the same for the same seed."""
    state = seed * 2654435761 & 0xFFFFFFFF
    block = [0] * 64
    for at in (0, 1, 2, 3, 5, 9, 20, 40, 63):
        state = state * 1664525 + 1013904223 & 0xFFFFFFFF
        block[at] = (state >> 24) % (41 if at == 0 else 9) - (20 if at == 0 else 4)
    return block


def put_dc(bits, value, previous):
    difference = value - previous
    bits.dc(abs(difference).bit_length())
    bits.signed(difference, abs(difference).bit_length())


def put_ac(bits, block, first, last, low=0):
    """A band of a first pass (F.1.2.2, G.1.2.2): magnitudes without their `low` bits."""
    run = 0
    for value in block[first : last + 1]:
        value = abs(value) >> low if value >= 0 else -(abs(value) >> low)
        if value == 0:
            run += 1
            continue
        while run > 15:
            bits.ac(0xF0)
            run -= 16
        bits.ac(run << 4 | abs(value).bit_length())
        bits.signed(value, abs(value).bit_length())
        run = 0
    if run:
        bits.ac(0x00)


def baseline_data(blocks, factors=((1, 1),), restart=0):
    """`blocks` MCUs in a row, restart markers in between."""
    out, bits, previous = b"", Bits(), [0] * len(factors)
    for mcu in range(blocks):
        if restart and mcu and mcu % restart == 0:
            out += bits.bytes() + bytes([0xFF, 0xD0 + (mcu // restart - 1) % 8])
            bits, previous = Bits(), [0] * len(factors)
        for component, (h, v) in enumerate(factors):
            for part in range(h * v):
                block = coefficients(mcu * 7 + component * 3 + part)
                put_dc(bits, block[0], previous[component])
                previous[component] = block[0]
                put_ac(bits, block, 1, 63)
    return out + bits.bytes()


def baseline(width=32, height=24, factors=((1, 1),), extra=b"", marker=SOF0, data=None, ids=None):
    """A whole file of one scan. Non-interleaved means that the factors of a single component do not count (A.2.2)."""
    ids = ids or range(1, len(factors) + 1)
    if len(factors) == 1:
        h, v, factors_of_data = 1, 1, ((1, 1),)
    else:
        h, v, factors_of_data = max(f[0] for f in factors), max(f[1] for f in factors), factors
    mcus = -(-width // (8 * h)) * -(-height // (8 * v))
    data = baseline_data(mcus, factors_of_data) if data is None else data
    return START + TABLES + extra + frame(width, height, factors, marker, ids=ids) + scan(ids) + data + END


def progressive(width=32, height=24, refine=True):
    """Grey, spectral selection and successive approximation: every kind of progressive scan."""
    blocks = [coefficients(index) for index in range(-(-width // 8) * -(-height // 8))]
    out = START + TABLES + frame(width, height, marker=SOF2)
    bits, previous = Bits(), 0
    for block in blocks:
        put_dc(bits, block[0] >> 1, previous)
        previous = block[0] >> 1
    out += scan(band=(0, 0), low=1) + bits.bytes()
    for first, last in ((1, 5), (6, 63)):
        bits = Bits()
        for block in blocks:
            put_ac(bits, block, first, last, low=1)
        out += scan(band=(first, last), low=1) + bits.bytes()
    if refine:
        bits = Bits()
        for block in blocks:
            bits.put(block[0] & 1, 1)
        out += scan(band=(0, 0), high=1) + bits.bytes()
        # Nothing new becomes other than zero: the band ends at once, and each coefficient that is there has its bit (G.1.2.3).
        bits = Bits()
        for block in blocks:
            bits.ac(0x00)
            for value in block[1:]:
                if abs(value) >> 1:
                    bits.put(abs(value) & 1, 1)
        out += scan(band=(1, 63), high=1) + bits.bytes()
    return out + END


def scan_bomb(side, scans):
    """Scans of a few bytes over millions of blocks: each band ends for 32,767 blocks at a time."""
    blocks = (side // 8) ** 2
    out = START + TABLES + frame(side, side, marker=SOF2) + scan(band=(0, 0)) + bytes(blocks // 2)
    for index in range(scans):
        bits = Bits()
        for _ in range(-(-blocks // 32767)):
            bits.ac(0xE0)
            bits.put(0x3FFF, 14)
        out += scan(band=(1 + index % 63, 1 + index % 63)) + bits.bytes()
    return out + END


def profile_parts(numbers, total, content=b"not a profile "):
    return b"".join(segment(APP2, b"ICC_PROFILE\0" + bytes([number, total]) + content) for number in numbers)


def cases():
    color, adobe = ((1, 1),) * 3, segment(APP14, b"Adobe\0\x64\0\0\0\0\0")
    grey = baseline()
    at = {name: grey.index(bytes([0xFF, marker])) for name, marker in (("frame", SOF0), ("scan", SOS))}
    data = at["scan"] + 10
    head = START + TABLES + frame(32, 24)

    def with_tables(tables):
        return START + tables + frame(32, 24) + scan() + baseline_data(12) + END

    yield "grey", grey, "ok"
    yield "grey-sampled-4x4", baseline(factors=((4, 4),)), "ok"
    yield "extended", baseline(marker=SOF1), "ok"
    yield "wide-quantisation", with_tables(quantisation(wide=True) + TABLES[len(quantisation()) :]), "ok"
    for name, factors in (
        ("444", color),
        ("422", ((2, 1), (1, 1), (1, 1))),
        ("420", ((2, 2), (1, 1), (1, 1))),
        ("440", ((1, 2), (1, 1), (1, 1))),
        ("411", ((4, 1), (1, 1), (1, 1))),
        ("luma-smaller-than-chroma", ((1, 1), (2, 1), (1, 2))),
        ("factors-3-and-2", ((3, 1), (2, 1), (1, 1))),
    ):
        yield f"color-{name}", baseline(factors=factors), "ok"
    yield "rgb-by-adobe", baseline(factors=color, extra=adobe), "ok"
    yield "rgb-by-letters", baseline(factors=color, ids=b"RGB"), "ok"
    yield "cmyk", baseline(factors=((1, 1),) * 4, extra=adobe), "ok"
    yield "ycck", baseline(factors=((1, 1),) * 4, extra=adobe[:-1] + b"\2"), "ok"
    yield "progressive", progressive(), "ok"
    yield "progressive-unrefined", progressive(refine=False), "ok"
    yield "scan-for-each-component", START + TABLES + frame(32, 24, ((2, 2), (1, 1), (1, 1))) + b"".join(
        scan((i,)) + baseline_data(blocks) for i, blocks in ((1, 12), (2, 4), (3, 4))
    ) + END, "ok"
    for width, height in ((1, 1), (1, 70), (70, 1)):
        yield f"size-{width}x{height}", baseline(width, height, ((2, 2), (1, 1), (1, 1))), "ok"
    restarting = START + TABLES + segment(DRI, b"\0\3") + frame(32, 24) + scan() + baseline_data(12, restart=3) + END
    yield "restart", restarting, "ok"
    yield "restart-interval-65535", baseline(extra=segment(DRI, b"\xff\xff")), "ok"
    yield "profile-in-255-parts", baseline(extra=profile_parts(range(1, 256), 255)), "ok"
    yield "profile-parts-missing", baseline(extra=profile_parts((3, 1, 1), 9)), "ok"
    yield "profile-part-0-of-0", baseline(extra=profile_parts((0,), 0)), "ok"
    yield "profile-of-1000-empty-parts", baseline(extra=profile_parts([7] * 1000, 9, b"")), "ok"
    yield "exif-pointing-outside", baseline(extra=segment(APP1, b"Exif\0\0II*\0\xff\xff\xff\xff")), "ok"
    yield "exif-empty", baseline(extra=segment(APP1, b"Exif\0\0")), "ok"
    yield "adobe-cut", baseline(factors=color, extra=segment(APP14, b"Adobe\0")), "ok"
    yield "fill-bytes", grey[: at["frame"]] + b"\xff" * 9 + grey[at["frame"] :], "ok"
    yield "bytes-between-segments", grey[: at["frame"]] + b"stray" + grey[at["frame"] :], "ok"
    yield "bytes-after-the-end", grey + b"more" * 50, "ok"
    yield "quantisation-of-zeros", with_tables(segment(DQT, bytes(65)) + TABLES[len(quantisation()) :]), "ok"
    yield "length-0-of-a-comment", baseline(extra=segment(COM, b"", 0)), "ok"
    bits = Bits()
    bits.dc(0)
    for _ in range(5):
        bits.ac(0xF1)
        bits.signed(1, 1)
    yield "run-past-the-last-coefficient", baseline(8, 8, data=bits.bytes()), "ok"

    yield "side-65535", baseline(65535, 65535, data=b""), "over-limit", "width"
    yield "side-65535-progressive", START + TABLES + frame(65535, 65535, marker=SOF2) + scan(band=(0, 0)) + END, "over-limit", "width"
    yield "pixels-16000-by-16000", baseline(16000, 16000, data=b""), "over-limit", "number of pixels"
    yield "scans-500-of-1000-by-1000", scan_bomb(1000, 500), "undecodable@", "scans"
    yield "no-data-of-2000-by-2000", baseline(2000, 2000, data=b""), "truncated"

    yield "arithmetic", baseline(marker=SOF9), "unsupported", "arithmetic"
    yield "arithmetic-progressive", baseline(marker=SOF10), "unsupported", "arithmetic"
    yield "lossless", baseline(marker=SOF3), "unsupported", "lossless"
    yield "hierarchical", baseline(marker=SOF5), "unsupported", "hierarchical"
    yield "hierarchical-by-dhp", START + TABLES + segment(DHP, frame(32, 24)[4:]) + head[len(START) :] + scan() + END, "unsupported", "hierarchical"
    yield "twelve-bits", START + TABLES + frame(32, 24, precision=12, marker=SOF1) + scan() + END, "unsupported", "bits"
    yield "height-by-dnl", START + TABLES + frame(32, 0) + scan() + baseline_data(12) + segment(DNL, b"\0\x18") + END, "unsupported", "DNL"
    yield "two-components", baseline(factors=((1, 1),) * 2), "unsupported", "components"
    yield "five-components", baseline(factors=((1, 1),) * 5), "unsupported", "components"

    yield "only-a-start", START + b"\xff", "undecodable@"
    yield "end-at-once", START + END, "undecodable@"
    yield "no-frame", START + TABLES + scan() + baseline_data(12) + END, "undecodable@", "frame"
    yield "no-scan", head + END, "undecodable@", "scan"
    yield "two-frames", head + frame(99, 99) + scan() + END, "undecodable@", "two frame headers"
    yield "frame-behind-a-scan", grey[:-2] + frame(999, 999) + scan() + baseline_data(12) + END, "ok"
    yield "frame-too-short", START + TABLES + segment(SOF0, b"\x08\0\x18\0") + scan() + END, "undecodable@", "frame header"
    yield "frame-of-too-few-components", START + TABLES + segment(SOF0, frame(32, 24, color)[4:-3]) + scan() + END, "undecodable@"
    yield "frame-of-1000-components", START + TABLES + segment(SOF0, frame(32, 24, color)[4:] + bytes(3000)) + scan() + END, "undecodable@"
    yield "width-0", baseline(0, 24), "undecodable@", "width"
    yield "factor-0", START + TABLES + frame(32, 24, ((0, 1), (1, 1), (1, 1))) + scan((1, 2, 3)) + END, "undecodable@"
    yield "factor-5", START + TABLES + frame(32, 24, ((5, 1), (1, 1), (1, 1))) + scan((1, 2, 3)) + END, "undecodable@"
    yield "eleven-blocks-in-an-mcu", baseline(factors=((3, 3), (1, 1), (1, 1))), "undecodable@"
    yield "component-twice-in-the-frame", baseline(factors=color, ids=(1, 1, 1)), "undecodable@"
    yield "component-twice-in-the-scan", START + TABLES + frame(32, 24, color) + scan((1, 1, 2)) + END, "undecodable@"
    yield "component-unknown-to-the-frame", head + scan((9,)) + END, "undecodable@"
    yield "scan-of-no-components", head + segment(SOS, b"\0\0\x3f\0") + END, "undecodable@"
    yield "scan-too-short", head + segment(SOS, b"\1\1") + END, "undecodable@"
    yield "band-backwards", START + TABLES + frame(32, 24, marker=SOF2) + scan(band=(5, 3)) + END, "undecodable@"
    yield "band-past-63", START + TABLES + frame(32, 24, marker=SOF2) + scan(band=(1, 64)) + END, "undecodable@"
    yield "band-with-dc-and-ac", START + TABLES + frame(32, 24, marker=SOF2) + scan(band=(0, 5)) + END, "undecodable@"
    yield "approximation-of-14-bits", START + TABLES + frame(32, 24, marker=SOF2) + scan(band=(0, 0), low=14) + END, "undecodable@"
    yield "ac-scan-of-two-components", START + TABLES + frame(32, 24, color, marker=SOF2) + scan((1, 2), band=(1, 5)) + END, "undecodable@"
    yield "quantisation-missing", with_tables(TABLES[len(quantisation()) :]), "undecodable@", "quantisation"
    yield "quantisation-cut", with_tables(segment(DQT, bytes(30)) + TABLES), "undecodable@"
    yield "quantisation-table-9", with_tables(segment(DQT, b"\x09" + bytes(64)) + TABLES), "undecodable@"
    yield "length-0-of-a-table", with_tables(segment(DQT, b"", 0) + TABLES), "ok"
    yield "length-past-the-end", head + segment(APP0, b"JFIF", 65535), "undecodable@"
    # Tables 0 and 1 are the standard's where none are defined (K.3.3); there is no standard for 2.
    yield "huffman-tables-of-the-standard", with_tables(quantisation()), "ok"
    yield "huffman-table-missing", START + TABLES + frame(32, 24) + scan(tables=0x22) + baseline_data(12) + END, "undecodable@", "Huffman"
    yield "huffman-table-9", with_tables(TABLES + segment(DHT, b"\x09" + bytes(16))), "undecodable@"
    yield "huffman-codes-too-many", with_tables(TABLES + segment(DHT, bytes([0, 3] + [0] * 15 + [1, 2, 3]))), "undecodable@"
    yield "huffman-symbols-too-many", with_tables(TABLES + segment(DHT, bytes([0] + [0] * 14 + [255, 255] + [1] * 510))), "undecodable@"
    yield "huffman-symbols-cut", with_tables(TABLES + segment(DHT, bytes([0] + [0] * 15 + [200]))), "undecodable@"
    yield "huffman-dc-symbol-16", with_tables(quantisation() + huffman(0, 0, [16] * 12, 4) + huffman(1, 0, AC_SYMBOLS, 8)), "undecodable@"
    yield "restart-interval-cut", baseline(extra=segment(DRI, b"\0")), "undecodable@"

    yield "cut", grey[: data + (len(grey) - data) // 2], "truncated"
    yield "cut-before-the-data", grey[:data], "truncated"
    yield "cut-in-the-header", grey[: at["scan"] - 5], "undecodable@"
    yield "end-missing", grey[:-2], "truncated"
    yield "progressive-cut", progressive()[:-60], "truncated"
    yield "progressive-without-dc", START + TABLES + frame(32, 24, marker=SOF2) + scan(band=(1, 5)) + b"\0" * 12 + END, "ok"
    yield "refinement-of-nothing", START + TABLES + frame(32, 24, marker=SOF2) + scan(band=(0, 0), high=1) + b"\x55\x50" + END, "ok"
    yield "code-without-meaning", baseline(data=b"\xff\0" * 60), "truncated"
    # No code is that long: libjpeg has taken seventeen bits when it notices, and goes on behind them.
    bits = Bits()
    bits.put(0x1FFFF, 17)
    put_ac(bits, coefficients(0), 1, 63)
    rest = [coefficients(index) for index in range(1, 12)]
    for previous, block in zip([[0], *rest], rest):
        put_dc(bits, block[0], previous[0])
        put_ac(bits, block, 1, 63)
    yield "code-of-seventeen-bits", baseline(data=bits.bytes()), "truncated"
    yield "restart-markers-missing", restarting.replace(b"\xff\xd0", b"").replace(b"\xff\xd1", b""), "truncated"
    yield "restart-marker-of-another-number", restarting.replace(b"\xff\xd0", b"\xff\xd5"), "ok"
    yield "restart-markers-only", START + TABLES + segment(DRI, b"\0\1") + frame(32, 24) + scan() + b"\xff\xd0\xff\xd1" * 400 + END, "truncated"
