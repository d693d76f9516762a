//! What a frame says of itself before its first macroblock (RFC 6386, sections 9 and 19.2).

use super::{
    bools::Bools,
    tables::{AC_STEPS, DC_STEPS, DEFAULTS, Probabilities, REPLACED},
};

const TAG_BYTES: usize = 10;
const SEGMENTS: usize = 4;

/// A key frame's header, and where its coded data is.
pub(super) struct Header<'a> {
    /// What is left of the first partition: the modes of prediction.
    pub modes: Bools<'a>,
    /// The partitions of coefficients; rows of macroblocks take turns.
    pub coefficients: Vec<Bools<'a>>,
    /// The branches to a macroblock's segment, if each says its own.
    pub segment_tree: Option<[u8; 3]>,
    /// How probable it is that a macroblock's coefficients are not skipped, if each says so.
    pub not_skipped: Option<u8>,
    pub probabilities: Probabilities,
    /// By segment.
    pub steps: [Steps; SEGMENTS],
}

/// Steps of quantisation, for DC and for the rest.
#[derive(Clone, Copy, Default)]
pub(super) struct Steps {
    pub luma: [i32; 2],
    /// Of the block that holds the means of the luma blocks.
    pub means: [i32; 2],
    pub color: [i32; 2],
}

impl<'a> Header<'a> {
    /// Reads it from the content of a `VP8 ` chunk. The error says what is wrong.
    pub(super) fn read(frame: &'a [u8]) -> Result<Self, &'static str> {
        let cut_off = "its coded picture is cut off";
        let (tag, data) = frame
            .split_first_chunk::<TAG_BYTES>()
            .ok_or("its picture's header is damaged")?;
        let bits = u32::from_le_bytes([tag[0], tag[1], tag[2], 0]);
        let (is_key_frame, version, is_shown) = (bits & 1 == 0, bits >> 1 & 7, bits >> 4 & 1 == 1);
        if !is_key_frame || version > 3 || !is_shown {
            return Err("its picture is not a key frame that is shown");
        }
        let (first, rest) = data.split_at_checked(bits as usize >> 5).ok_or(cut_off)?;
        let mut bools = Bools::new(first);
        // The colour space and a promise about the range of samples: no decoder of pictures heeds these.
        bools.number(2);
        let segments = bools.flag(128).then(|| Segments::read(&mut bools));
        skip_filter(&mut bools);
        let partitions = 1 << bools.number(2);
        let coefficients = partitions_of(rest, partitions).ok_or(cut_off)?;
        let steps = all_steps(&mut bools, segments.as_ref());
        // Whether later frames inherit the probabilities.
        bools.flag(128);
        let probabilities = read_probabilities(&mut bools);
        let not_skipped = bools.flag(128).then(|| bools.number(8));
        if bools.is_overrun() {
            return Err(cut_off);
        }
        Ok(Self {
            modes: bools,
            coefficients,
            segment_tree: segments.and_then(|segments| segments.tree),
            not_skipped,
            probabilities,
            steps,
        })
    }
}

/// Parts of the picture with a quantiser of their own (section 9.3).
struct Segments {
    /// Whether quantisers are meant as they are, rather than as differences.
    are_absolute: bool,
    quantisers: [i8; SEGMENTS],
    tree: Option<[u8; 3]>,
}

impl Segments {
    fn read(bools: &mut Bools) -> Self {
        let has_map = bools.flag(128);
        let mut segments = Self {
            are_absolute: true,
            quantisers: [0; SEGMENTS],
            tree: None,
        };
        if bools.flag(128) {
            segments.are_absolute = bools.flag(128);
            segments.quantisers = [(); SEGMENTS].map(|()| bools.optional(7).unwrap_or(0));
            for _filter_strength in 0..SEGMENTS {
                bools.optional(6);
            }
        }
        if has_map {
            segments.tree = Some([(); 3].map(|()| {
                if bools.flag(128) {
                    bools.number(8)
                } else {
                    255
                }
            }));
        }
        segments
    }
}

/// Passes over the loop filter's settings (sections 9.3 and 9.6), since nothing here is smoothed.
fn skip_filter(bools: &mut Bools) {
    // Kind, level and sharpness.
    bools.number(1);
    bools.number(6);
    bools.number(3);
    let has_adjustments = bools.flag(128);
    if has_adjustments && bools.flag(128) {
        for _adjustment in 0..8 {
            bools.optional(6);
        }
    }
}

/// The partitions of coefficients (section 9.5): the sizes of all but the last, three bytes each, come first. What is cut
/// off is missed when it is decoded.
fn partitions_of(data: &[u8], count: usize) -> Option<Vec<Bools<'_>>> {
    let (sizes, mut rest) = data.split_at_checked(3 * (count - 1))?;
    let mut partitions = Vec::with_capacity(count);
    for size in sizes.as_chunks::<3>().0 {
        let size = u32::from_le_bytes([size[0], size[1], size[2], 0]) as usize;
        let (partition, behind) = rest.split_at(size.min(rest.len()));
        partitions.push(Bools::new(partition));
        rest = behind;
    }
    partitions.push(Bools::new(rest));
    (!rest.is_empty()).then_some(partitions)
}

/// Steps of quantisation for each segment (sections 9.6 and 14.1).
fn all_steps(bools: &mut Bools, segments: Option<&Segments>) -> [Steps; SEGMENTS] {
    let base = i32::from(bools.number(7));
    let [luma_dc, means_dc, means_ac, color_dc, color_ac] =
        [(); 5].map(|()| i32::from(bools.optional(4).unwrap_or(0)));
    std::array::from_fn(|segment| {
        let index = match segments {
            Some(segments) if segments.are_absolute => segments.quantisers[segment].into(),
            Some(segments) => base + i32::from(segments.quantisers[segment]),
            None => base,
        };
        let step = |table: &[u16; 128], difference: i32| {
            i32::from(table[(index + difference).clamp(0, 127) as usize])
        };
        Steps {
            luma: [step(&DC_STEPS, luma_dc), step(&AC_STEPS, 0)],
            means: [
                step(&DC_STEPS, means_dc) * 2,
                (step(&AC_STEPS, means_ac) * 155 / 100).max(8),
            ],
            color: [
                step(&DC_STEPS, color_dc).min(132),
                step(&AC_STEPS, color_ac),
            ],
        }
    })
}

/// The probabilities of coefficients: the usual ones, with replacements (section 13.4).
fn read_probabilities(bools: &mut Bools) -> Probabilities {
    let mut probabilities = DEFAULTS;
    let all = probabilities.as_flattened_mut().as_flattened_mut();
    let replaced = REPLACED.as_flattened().as_flattened();
    for (probability, replaced) in all
        .as_flattened_mut()
        .iter_mut()
        .zip(replaced.as_flattened())
    {
        if bools.flag(*replaced) {
            *probability = bools.number(8);
        }
    }
    probabilities
}
