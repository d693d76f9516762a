//! Restart intervals (T.81 E.2.4): a scan is coded in pieces, so that damage to one does not reach the next.

use std::ops::Range;

use super::{bits::Segment, markers::any_marker};
use crate::{Error, Meter};

/// Steps to begin with an interval, however little is in it.
const INTERVAL_STEPS: u64 = 64;
/// Steps to find a marker, besides one for each byte before it.
const MARKER_STEPS: u64 = 8;

/// How a scan ended.
#[derive(Clone, Copy)]
pub(super) struct Outcome {
    /// Where in the file its data ends.
    pub end: usize,
    /// Whether all of it was there.
    pub is_complete: bool,
}

/// Where the coded data of a scan is.
#[derive(Clone, Copy)]
pub(super) struct Coded<'a> {
    pub input: &'a [u8],
    /// Where it begins in the file.
    pub at: usize,
    /// MCUs between two restart markers; 0 if there are none.
    pub interval: usize,
    /// MCUs of the scan.
    pub mcus: usize,
}

impl Coded<'_> {
    /// Calls `decode` with each interval that is there, and the MCUs it has. `decode` says whether it found enough data.
    ///
    /// Takes steps for each byte and for each interval that is there; what is missing takes none.
    pub(super) fn for_each_interval(
        self,
        window: &mut Vec<u8>,
        meter: &Meter,
        mut decode: impl FnMut(&mut Segment, Range<usize>) -> Result<bool, Error>,
    ) -> Result<Outcome, Error> {
        let behind = |mcu: usize| {
            if self.interval == 0 {
                self.mcus
            } else {
                self.mcus.min(mcu + self.interval)
            }
        };
        let (mut at, mut mcu, mut number) = (self.at, 0, 0);
        let mut is_complete = true;
        while mcu < self.mcus {
            let begin = at;
            let mut segment = Segment::new(self.input, at, window);
            is_complete &= decode(&mut segment, mcu..behind(mcu))?;
            at = segment.end();
            meter.step(INTERVAL_STEPS + (at - begin) as u64)?;
            mcu = behind(mcu);
            while mcu < self.mcus {
                let restart;
                (restart, at) = find_restart(self.input, at, number, meter)?;
                number = (number + 1) % 8;
                match restart {
                    Restart::Found => break,
                    Restart::Lost => mcu = behind(mcu),
                    Restart::NoMore => mcu = self.mcus,
                }
                is_complete = false;
            }
        }
        Ok(Outcome {
            end: at,
            is_complete,
        })
    }
}

/// What became of a restart marker.
enum Restart {
    Found,
    /// It seems to be lost, so that its interval stays empty: one of the next two is there.
    Lost,
    /// Another marker ends the scan, or the file ends: all intervals that are left stay empty.
    NoMore,
}

/// Looks for restart marker `number` (0 to 7), which should be at `at`, and says where to go on: behind the marker, or at
/// the one that is there instead, so that no byte is searched twice.
///
/// One of the last two restarts is passed over as a repetition, and so is what is no marker of a picture; any other restart
/// is taken for the one that was expected. This is libjpeg's way to find its place again.
fn find_restart(
    input: &[u8],
    mut at: usize,
    number: u8,
    meter: &Meter,
) -> Result<(Restart, usize), Error> {
    while let Some((marker, behind)) = any_marker(input, at) {
        meter.step(MARKER_STEPS + (behind - at) as u64)?;
        let marker_at = behind - 2;
        match marker {
            0xd0..=0xd7 => match (marker - 0xd0 + 8 - number) % 8 {
                1 | 2 => return Ok((Restart::Lost, marker_at)),
                6 | 7 => {}
                _ => return Ok((Restart::Found, behind)),
            },
            0..0xc0 => {}
            _ => return Ok((Restart::NoMore, marker_at)),
        }
        at = behind;
    }
    Ok((Restart::NoMore, at))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    /// First and last MCU of each interval, and whether all are there.
    fn intervals(input: &[u8], interval: usize, mcus: usize) -> (Vec<(usize, usize)>, bool) {
        let mut seen = Vec::new();
        let coded = Coded {
            input,
            at: 0,
            interval,
            mcus,
        };
        let meter = Meter::default();
        let outcome = coded.for_each_interval(&mut Vec::new(), &meter, |_, mcus| {
            seen.push((mcus.start, mcus.end - 1));
            Ok(true)
        });
        (seen, outcome.unwrap().is_complete)
    }

    /// Steps of a scan of so many MCUs whose decoder takes none, and where its data ends.
    fn steps(input: &[u8], interval: usize, mcus: usize) -> (u64, usize) {
        let coded = Coded {
            input,
            at: 0,
            interval,
            mcus,
        };
        let meter = Meter::default();
        let outcome = coded.for_each_interval(&mut Vec::new(), &meter, |_, _| Ok(true));
        (meter.steps(), outcome.unwrap().end)
    }

    #[test]
    fn the_search_for_restarts_visits_each_byte_once_whatever_stands_there() {
        let junk: &[(&str, &[u8])] = &[
            ("no markers of a picture", &[0xff, 1]),
            ("others", &[0xff, 0xbf]),
            ("fill bytes", &[0xff, 0xff, 0xff, 1]),
            ("stuffing", &[0xff, 1, 0xff, 0]),
            ("plain bytes", &[0xff, 2, 9, 9, 9]),
            // Of each two the first is found or passed over, so that the picture's intervals are few.
            ("one restart", &[0xff, 0xd3]),
            (
                "all restarts, the wrong way round",
                b"\xff\xd7\xff\xd6\xff\xd5\xff\xd4",
            ),
            (
                "always the one before",
                b"\xff\xd7\xff\xd0\xff\xd1\xff\xd2\xff\xd3\xff\xd4\xff\xd5\xff\xd6",
            ),
            (
                "always the next but one",
                b"\xff\xd2\xff\xd3\xff\xd4\xff\xd5\xff\xd6\xff\xd7\xff\xd0\xff\xd1",
            ),
        ];
        for (what, junk) in junk {
            for count in [500, 8_000] {
                for tail in [&[0xff, 0xd9][..], &[], &[0xff], &[0xff, 0xda, 0, 0]] {
                    let input = [&[0xa0][..], &junk.repeat(count), tail].concat();
                    for interval in [1, 2, 7, 100_000] {
                        let (steps, end) = steps(&input, interval, 2048 * 382);
                        // Each byte of data, each marker searched for, and the beginnings of intervals.
                        let most = (INTERVAL_STEPS + MARKER_STEPS) * (input.len() as u64 + 2);
                        assert!(steps <= most, "{count} times {what} by {interval}: {steps}");
                        assert!(end <= input.len());
                    }
                }
            }
        }
    }

    #[test]
    fn a_repetition_that_was_passed_over_stays_behind() {
        // Restart 5 comes twice, then the picture ends.
        let mut input = Vec::new();
        for number in [0, 1, 2, 3, 4, 5, 5] {
            input.extend([9, 0xff, 0xd0 + number]);
        }
        input.extend([9, 0xff, 0xd9]);
        let (seen, is_complete) = intervals(&input, 1, 16);
        assert_eq!((seen.len(), is_complete), (7, false));
    }

    #[test]
    fn each_interval_has_its_mcus() {
        assert_eq!(intervals(&[1, 2, 0xff, 0xd9], 0, 9), (vec![(0, 8)], true));
        let input = [1, 0xff, 0xd0, 2, 0xff, 0xd1, 3, 0xff, 0xd9];
        assert_eq!(
            intervals(&input, 4, 9),
            (vec![(0, 3), (4, 7), (8, 8)], true)
        );
    }

    #[test]
    fn a_lost_marker_costs_its_interval_only() {
        let input = [1, 0xff, 0xd1, 3, 0xff, 0xd2, 4, 0xff, 0xd9];
        assert_eq!(
            intervals(&input, 2, 8),
            (vec![(0, 1), (4, 5), (6, 7)], false)
        );
    }

    #[test]
    fn a_repeated_marker_is_passed_over() {
        let input = [1, 0xff, 0xd0, 2, 0xff, 0xd0, 9, 0xff, 0xd1, 3, 0xff, 0xd9];
        assert_eq!(
            intervals(&input, 2, 6),
            (vec![(0, 1), (2, 3), (4, 5)], true)
        );
    }

    #[test]
    fn what_comes_behind_the_end_stays_empty() {
        assert_eq!(
            intervals(&[1, 0xff, 0xd0, 2, 0xff, 0xd9], 1, 4),
            (vec![(0, 0), (1, 1)], false)
        );
        assert_eq!(intervals(&[], 1, 3), (vec![(0, 0)], false));
    }
}
