//! Restart intervals (T.81 E.2.4): a scan is coded in pieces, so that damage to one does not reach the next.

use std::ops::Range;

use super::{bits::Segment, markers::any_marker};

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
    pub(super) fn for_each_interval(
        self,
        window: &mut Vec<u8>,
        mut decode: impl FnMut(&mut Segment, Range<usize>) -> bool,
    ) -> Outcome {
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
            let mut segment = Segment::new(self.input, at, window);
            is_complete &= decode(&mut segment, mcu..behind(mcu));
            at = segment.end();
            mcu = behind(mcu);
            while mcu < self.mcus {
                let restart = find_restart(self.input, at, number);
                number = (number + 1) % 8;
                if let Some(found) = restart {
                    at = found;
                    break;
                }
                is_complete = false;
                mcu = behind(mcu);
            }
        }
        Outcome {
            end: at,
            is_complete,
        }
    }
}

/// The position behind restart marker `number` (0 to 7), which should be at `at`.
///
/// `None` if it seems to be lost, so that its interval stays empty: another marker comes, or one of the next two restarts
/// does. One of the last two is passed over as a repetition; any other is taken for the one that was expected. This is
/// libjpeg's way to find its place again.
fn find_restart(input: &[u8], mut at: usize, number: u8) -> Option<usize> {
    loop {
        let (marker, behind) = any_marker(input, at)?;
        match marker {
            0xd0..=0xd7 => match (marker - 0xd0 + 8 - number) % 8 {
                1 | 2 => return None,
                6 | 7 => at = behind,
                _ => return Some(behind),
            },
            0..0xc0 => at = behind,
            _ => return None,
        }
    }
}

#[cfg(test)]
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
        let outcome = coded.for_each_interval(&mut Vec::new(), |_, mcus| {
            seen.push((mcus.start, mcus.end - 1));
            true
        });
        (seen, outcome.is_complete)
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
