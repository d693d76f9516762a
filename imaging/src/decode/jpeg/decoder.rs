//! From the first byte to the last: definitions are taken, scans are decoded, and what is missing is reported.

use super::{
    channel::{Channel, Steps},
    damaged,
    header::{Frame, Header},
    inverse::last_needed,
    markers::{START_OF_SCAN, Segment},
    progressive::{self, Band, Coefficients},
    restarts::{Coded, Outcome},
    sequential,
    tables::{Quantisation, Tables},
};
use crate::{Error, Meter, Scratch, raster::Plane, scratch::JpegScratch};

/// More scans than any encoder writes; each one costs a pass over all blocks, however few bytes it has.
const MAX_SCANS: usize = 64;
/// Blocks that make it worth to prepare a look-up that skips coefficients.
const MANY_BLOCKS: usize = 1500;

/// What came out; the samples are in `scratch.planes`.
pub(super) struct Decoded {
    pub planes: Vec<Plane>,
    /// Data was missing or damaged; the blocks concerned are grey or wrong.
    pub truncated: bool,
}

/// Decodes everything; `samples` says for each component how many (1 to 8) a block's side has.
pub(super) fn decode(
    bytes: &[u8],
    header: &Header,
    samples: &[usize],
    scratch: &mut Scratch,
    meter: &Meter,
) -> Result<Decoded, Error> {
    let Scratch { planes, jpeg, .. } = scratch;
    let JpegScratch {
        window,
        coefficients,
        nonzero,
    } = jpeg;
    let frame = &header.frame;
    let channels = frame
        .components
        .iter()
        .zip(planes)
        .zip(samples)
        .map(|((component, plane), n)| Channel::new(frame, component, *n, plane));
    let channels = channels.collect::<Result<Vec<_>, _>>()?;
    let mut collected = Vec::new();
    if frame.is_progressive {
        for ((channel, values), nonzero) in channels.iter().zip(coefficients).zip(nonzero) {
            collected.push(Coefficients::new(channel, values, nonzero)?);
        }
    }
    Decoder {
        bytes,
        frame,
        tables: Tables::default(),
        channels,
        coefficients: collected,
        steps: Default::default(),
        window,
        meter,
        truncated: false,
    }
    .decode(header.first_scan)
}

struct Decoder<'d, 'a> {
    bytes: &'d [u8],
    frame: &'d Frame,
    tables: Tables,
    channels: Vec<Channel<'a>>,
    /// Of progressive pictures.
    coefficients: Vec<Coefficients<'a>>,
    /// The quantisation of each component: the one that is defined when its first scan begins (T.81 B.2.4.1).
    steps: [Option<Quantisation>; 4],
    window: &'d mut Vec<u8>,
    meter: &'d Meter,
    truncated: bool,
}

/// A scan header's parameters (T.81 B.2.3).
struct Scan {
    parts: Vec<ScanPart>,
    band: Band,
    /// Where its length is.
    start: usize,
    /// Where its coded data begins.
    data: usize,
}

/// A component's part in a scan.
#[derive(Clone, Copy)]
struct ScanPart {
    /// Its index in the frame.
    component: usize,
    /// Numbers of its Huffman tables.
    dc: usize,
    ac: usize,
    /// Its blocks in an MCU of this scan, across and down (T.81 A.2).
    sampling: (usize, usize),
}

impl Decoder<'_, '_> {
    fn decode(mut self, first_scan: usize) -> Result<Decoded, Error> {
        let mut at = 2;
        let mut scans = 0;
        loop {
            // Behind the first scan a segment that is cut off only ends the picture early.
            let segment = match Segment::next(self.bytes, at) {
                Ok(segment) => segment,
                Err(error) if at <= first_scan => return Err(error),
                Err(_) => {
                    self.truncated = true;
                    break;
                }
            };
            let Some(segment) = segment else {
                self.truncated |= !ends_properly(self.bytes, at);
                break;
            };
            self.meter.step((segment.end - at) as u64)?;
            at = segment.end;
            match segment.marker {
                0xdb => self.tables.define_quantisation(&segment)?,
                0xc4 => self.tables.define_huffman(&segment, self.meter)?,
                0xdd => self.tables.define_restarts(&segment)?,
                START_OF_SCAN => {
                    scans += 1;
                    if scans > MAX_SCANS {
                        let reason = format!("more than {MAX_SCANS} scans");
                        return Err(damaged(segment.start, reason));
                    }
                    let scan = self.scan_header(&segment)?;
                    let outcome = self.scan(&scan)?;
                    at = outcome.end;
                    self.truncated |= !outcome.is_complete;
                }
                // A second picture's frame is not this one's.
                0xc0..=0xc2 if segment.start > first_scan => break,
                _ => {}
            }
        }
        self.finish()
    }

    fn scan_header(&self, segment: &Segment) -> Result<Scan, Error> {
        let wrong = || damaged(segment.start, "a scan header that makes no sense");
        let [count, rest @ ..] = segment.content else {
            return Err(wrong());
        };
        let (selectors, rest) = rest
            .split_at_checked(2 * usize::from(*count))
            .ok_or_else(wrong)?;
        let [first, last, bits, ..] = rest else {
            return Err(wrong());
        };
        let mut parts: Vec<ScanPart> = Vec::new();
        for [id, tables] in selectors.as_chunks::<2>().0 {
            let mut components = self.frame.components.iter();
            let component = components
                .position(|component| component.id == *id)
                .filter(|index| parts.iter().all(|part| part.component != *index))
                .ok_or_else(wrong)?;
            parts.push(ScanPart {
                component,
                dc: usize::from(tables >> 4),
                ac: usize::from(tables & 15),
                sampling: self.frame.components[component].sampling,
            });
        }
        if let [only] = &mut parts[..] {
            only.sampling = (1, 1);
        }
        let (high, low) = (bits >> 4, bits & 15);
        let band = Band {
            first: (*first).into(),
            last: (*last).into(),
            refines: high > 0,
            shift: low.into(),
        };
        let is_valid = if self.frame.is_progressive {
            let is_band = if band.first == 0 {
                band.last == 0
            } else {
                band.first <= band.last && band.last < 64 && parts.len() == 1
            };
            is_band && low <= 13 && (high == 0 || high == low + 1)
        } else {
            true
        };
        if parts.is_empty() || !is_valid {
            return Err(wrong());
        }
        Ok(Scan {
            parts,
            band,
            start: segment.start,
            data: segment.end,
        })
    }

    fn scan(&mut self, scan: &Scan) -> Result<Outcome, Error> {
        for &ScanPart {
            component: index, ..
        } in &scan.parts
        {
            if self.steps[index].is_none() {
                let number = self.frame.components[index].table;
                let steps = self.tables.quantisation[number].ok_or_else(|| {
                    damaged(
                        scan.start,
                        format!("quantisation table {number} is missing"),
                    )
                })?;
                self.steps[index] = Some(steps);
            }
        }
        let (across, down) = match scan.parts[..] {
            [only] => self.channels[only.component].shown,
            _ => self.frame.mcus(),
        };
        let coded = Coded {
            input: self.bytes,
            at: scan.data,
            interval: self.tables.restart_interval,
            mcus: across * down,
        };
        match (self.frame.is_progressive, scan.band.first) {
            (false, _) => self.sequential(scan, coded, across),
            (true, 0) => self.means(scan, coded, across),
            (true, _) if self.channels[scan.parts[0].component].n == 1 => Ok(Outcome {
                end: scan.data,
                is_complete: true,
            }),
            (true, _) => self.band(scan, coded, across),
        }
    }

    fn sequential(&mut self, scan: &Scan, coded: Coded, across: usize) -> Result<Outcome, Error> {
        for part in &scan.parts {
            self.tables.assume_standard(part.dc, part.ac);
            let channel = &self.channels[part.component];
            let is_worth_it = channel.n < 8 && channel.blocks.0 * channel.blocks.1 > MANY_BLOCKS;
            if let Some(Some(table)) = self.tables.ac.get_mut(part.ac)
                && is_worth_it
            {
                self.meter.step(table.prepare_skips())?;
            }
        }
        let mut channels: Vec<_> = self.channels.iter_mut().map(Some).collect();
        let mut parts = Vec::new();
        for &ScanPart {
            component,
            dc,
            ac,
            sampling,
        } in &scan.parts
        {
            let (Some(Some(dc)), Some(Some(ac))) = (self.tables.dc.get(dc), self.tables.ac.get(ac))
            else {
                return Err(missing_table(scan));
            };
            let channel = channels[component].take();
            if let (Some(steps), Some(channel)) = (&self.steps[component], channel) {
                parts.push(sequential::Part {
                    dc,
                    ac,
                    steps: Steps::new(steps, channel.n),
                    sampling,
                    channel,
                });
            }
        }
        sequential::decode(coded, &mut parts, across, self.window, self.meter)
    }

    fn means(&mut self, scan: &Scan, coded: Coded, across: usize) -> Result<Outcome, Error> {
        let mut coefficients: Vec<_> = self.coefficients.iter_mut().map(Some).collect();
        let mut parts = Vec::new();
        for part in &scan.parts {
            let table = self.tables.dc.get(part.dc).and_then(Option::as_ref);
            if table.is_none() && !scan.band.refines {
                return Err(missing_table(scan));
            }
            if let Some(coefficients) = coefficients[part.component].take() {
                parts.push(progressive::Part {
                    table,
                    coefficients,
                    sampling: part.sampling,
                });
            }
        }
        progressive::decode_means(
            coded,
            scan.band,
            &mut parts,
            across,
            self.window,
            self.meter,
        )
    }

    fn band(&mut self, scan: &Scan, coded: Coded, across: usize) -> Result<Outcome, Error> {
        let part = scan.parts[0];
        let Some(Some(table)) = self.tables.ac.get(part.ac) else {
            return Err(missing_table(scan));
        };
        let coefficients = &mut self.coefficients[part.component];
        progressive::decode_band(
            coded,
            scan.band,
            table,
            coefficients,
            across,
            self.window,
            self.meter,
        )
    }

    fn finish(mut self) -> Result<Decoded, Error> {
        if self.steps.iter().flatten().count() == 0 {
            return Err(damaged(self.bytes.len(), "ends before its first scan"));
        }
        // A component that no scan brought stays grey.
        self.truncated |= self.channels.len() != self.steps.iter().flatten().count();
        for ((coefficients, channel), steps) in self
            .coefficients
            .iter()
            .zip(&mut self.channels)
            .zip(&self.steps)
        {
            if let Some(steps) = steps {
                coefficients.transform(&Steps::new(steps, channel.n), channel, self.meter)?;
            }
        }
        Ok(Decoded {
            planes: self.channels.iter().map(Channel::plane).collect(),
            truncated: self.truncated,
        })
    }
}

fn missing_table(scan: &Scan) -> Error {
    damaged(scan.start, "a scan whose Huffman table is missing")
}

/// Whether the end marker comes, from `at` on.
fn ends_properly(bytes: &[u8], mut at: usize) -> bool {
    while let Some((marker, behind)) = super::markers::any_marker(bytes, at) {
        if marker == super::markers::END_OF_IMAGE {
            return true;
        }
        at = behind;
    }
    false
}

/// Bytes of coefficients that are collected for a progressive picture at `n` samples to a block's side.
pub(super) fn coefficient_bytes(frame: &Frame, n: usize) -> u64 {
    if !frame.is_progressive {
        return 0;
    }
    let flags = if n == 1 { 0 } else { 8 };
    let blocks: usize = frame
        .components
        .iter()
        .map(|component| frame.blocks(component))
        .map(|(across, down)| across * down)
        .sum();
    (blocks * (2 * (last_needed(n) + 1) + flags)) as u64
}
