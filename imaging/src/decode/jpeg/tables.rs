//! The tables that segments define and scans use: quantisation (T.81 B.2.4.1), Huffman (B.2.4.2), restarts (B.2.4.4).

use super::{damaged, huffman::Table, markers::Segment, standard};
use crate::{Error, Meter, bytes::be_u16};

/// Steps to make a Huffman table's look-ups, which are larger than what the file says of it.
const TABLE_STEPS: u64 = 256;

/// One step for each coefficient, in zigzag order.
pub(super) type Quantisation = [u16; 64];

/// What is defined so far.
#[derive(Default)]
pub(super) struct Tables {
    pub quantisation: [Option<Quantisation>; 4],
    pub dc: [Option<Table>; 4],
    pub ac: [Option<Table>; 4],
    /// MCUs between two restart markers; 0 if there are none.
    pub restart_interval: usize,
}

impl Tables {
    /// Takes a DQT segment: tables of 64 steps, of one or two bytes each.
    pub(super) fn define_quantisation(&mut self, segment: &Segment) -> Result<(), Error> {
        let mut rest = segment.content;
        while let [kind, tail @ ..] = rest {
            let wide = kind >> 4 != 0;
            let length = if wide { 128 } else { 64 };
            let slot = self.quantisation.get_mut(usize::from(kind & 15));
            let (Some(slot), Some((steps, tail))) = (slot, tail.split_at_checked(length)) else {
                return Err(damaged(
                    segment.start,
                    "a quantisation table that is cut off",
                ));
            };
            *slot = Some(std::array::from_fn(|k| {
                if wide {
                    be_u16(steps, 2 * k).unwrap_or(1)
                } else {
                    steps[k].into()
                }
            }));
            rest = tail;
        }
        Ok(())
    }

    /// Takes a DHT segment: 16 counts of codes, and a value for each code.
    pub(super) fn define_huffman(&mut self, segment: &Segment, meter: &Meter) -> Result<(), Error> {
        let mut rest = segment.content;
        while let [kind, tail @ ..] = rest {
            meter.step(TABLE_STEPS)?;
            let cut_off = || damaged(segment.start, "a Huffman table that is cut off");
            let (counts, tail) = tail.split_first_chunk::<16>().ok_or_else(cut_off)?;
            let length = counts.iter().map(|count| usize::from(*count)).sum();
            let (values, tail) = tail.split_at_checked(length).ok_or_else(cut_off)?;
            let table = Table::new(counts, values)
                .ok_or_else(|| damaged(segment.start, "a Huffman table that is no prefix code"))?;
            let is_dc = kind >> 4 == 0;
            if is_dc && !table.is_for_dc() {
                return Err(damaged(
                    segment.start,
                    "a Huffman table with impossible sizes",
                ));
            }
            let slots = match kind >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return Err(damaged(segment.start, "a Huffman table of no known class")),
            };
            let slot = slots
                .get_mut(usize::from(kind & 15))
                .ok_or_else(|| damaged(segment.start, "a Huffman table with a number above 3"))?;
            *slot = Some(table);
            rest = tail;
        }
        Ok(())
    }

    /// Fills in the standard's examples for the tables that a scan uses and that no segment has defined.
    pub(super) fn assume_standard(&mut self, dc: usize, ac: usize) {
        for (slots, number, examples) in [
            (&mut self.dc, dc, &standard::DC),
            (&mut self.ac, ac, &standard::AC),
        ] {
            if let (Some(slot @ None), Some((counts, values))) =
                (slots.get_mut(number), examples.get(number))
            {
                *slot = Table::new(counts, values);
            }
        }
    }

    /// Takes a DRI segment.
    pub(super) fn define_restarts(&mut self, segment: &Segment) -> Result<(), Error> {
        let interval = be_u16(segment.content, 0)
            .ok_or_else(|| damaged(segment.start, "a restart interval that is cut off"))?;
        self.restart_interval = interval.into();
        Ok(())
    }
}
