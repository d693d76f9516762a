//! From macroblock to macroblock: what each says of itself, its coefficients, its samples.

use super::{
    averages::Averages,
    bools::Bools,
    coefficients::{self, Tree},
    header::Header,
    inverse::{self, Strip, Transform},
    modes::{Luma, Macroblock, Neighbours},
    predict::{ColorSquare, LumaSquare},
};

/// Strips of a macroblock: four of luma; two of the colours, each with two blocks of blue and two of red; and one whose first block
/// holds the means of luma's blocks, which the format calls Y2.
const STRIPS: usize = 7;
/// The first of the colours.
const COLORS: usize = 4;
const MEANS: usize = 6;

/// What the macroblock above leaves to the one below.
#[derive(Clone, Copy, Default)]
struct Above {
    luma: [u8; 16],
    colors: [[u8; 8]; 2],
    /// Which of its lowest blocks have coefficients: four of luma, two of each colour, the means.
    coded: [bool; 9],
}

/// A picture while it is decoded.
pub(super) struct Decoder<'a> {
    header: Header<'a>,
    modes: Bools<'a>,
    partitions: Vec<Bools<'a>>,
    trees: [Tree; 4],
    transform: Transform,
    neighbours: Neighbours,
    above: Vec<Above>,
    /// As [`Above::coded`], of the macroblock to the left.
    left: [bool; 9],
    /// The coefficients of a macroblock; zeros between two of them.
    strips: [Strip; STRIPS],
    /// Which strips have any.
    coded: [bool; STRIPS],
}

/// Reads the blocks of a macroblock.
struct Reader<'d, 'a> {
    /// A copy of its own, so that it is in registers.
    bools: Bools<'a>,
    strips: &'d mut [Strip; STRIPS],
    coded: &'d mut [bool; STRIPS],
    above: &'d mut [bool; 9],
    left: &'d mut [bool; 9],
}

impl Reader<'_, '_> {
    /// Reads a block: to which strip and which block of it, and which blocks above and to the left are its neighbours.
    #[inline(always)]
    fn read(
        &mut self,
        tree: &Tree,
        first: usize,
        steps: [i32; 2],
        (strip, block): (usize, usize),
        (above, left): (usize, usize),
    ) {
        let (above, left) = (&mut self.above[above], &mut self.left[left]);
        let context = usize::from(*above) + usize::from(*left);
        let to = &mut self.strips[strip];
        let behind =
            coefficients::read(&mut self.bools, tree, context, first, steps, to, 4 * block);
        let is_coded = behind > first;
        self.coded[strip] |= is_coded;
        (*above, *left) = (is_coded, is_coded);
    }
}

impl<'a> Decoder<'a> {
    /// For so many macroblocks across.
    pub(super) fn new(mut header: Header<'a>, across: usize) -> Self {
        Self {
            modes: header.modes,
            partitions: std::mem::take(&mut header.coefficients),
            trees: Tree::all(&header.probabilities),
            transform: Transform::new(),
            header,
            neighbours: Neighbours::new(across),
            above: vec![Above::default(); across],
            left: [false; 9],
            strips: [Strip::default(); STRIPS],
            coded: [false; STRIPS],
        }
    }

    /// Decodes row `y` of macroblocks, which comes after those above it. The error says what is wrong.
    pub(super) fn decode_row(
        &mut self,
        y: usize,
        picture: &mut [Averages; 3],
    ) -> Result<(), &'static str> {
        let turn = y % self.partitions.len();
        self.neighbours.begin_row();
        self.left = [false; 9];
        let mut luma = LumaSquare::new(y == 0);
        let mut colors = [ColorSquare::new(y == 0), ColorSquare::new(y == 0)];
        for x in 0..self.above.len() {
            let macroblock = self.neighbours.read(&mut self.modes, &self.header, x);
            if macroblock.has_coefficients {
                self.read_coefficients(turn, x, &macroblock);
            } else {
                self.pass_over(x, &macroblock);
            }
            self.surround((x, y), &mut luma, &mut colors);
            self.reconstruct((x, y), &macroblock, &mut luma, &mut colors);
            let above = &mut self.above[x];
            above.luma.copy_from_slice(luma.row(15));
            for (above, square) in above.colors.iter_mut().zip(&colors) {
                above.copy_from_slice(square.row(7));
            }
            let [of_luma, of_blue, of_red] = picture;
            of_luma.put((x, y), &luma);
            of_blue.put((x, y), &colors[0]);
            of_red.put((x, y), &colors[1]);
        }
        if self.modes.is_overrun() || self.partitions[turn].is_overrun() {
            return Err("ends before its last pixel");
        }
        Ok(())
    }

    /// Reads the coefficients of a macroblock (section 13).
    fn read_coefficients(&mut self, partition: usize, x: usize, macroblock: &Macroblock) {
        let steps = self.header.steps[macroblock.segment];
        self.coded = [false; STRIPS];
        let mut reader = Reader {
            bools: self.partitions[partition],
            strips: &mut self.strips,
            coded: &mut self.coded,
            above: &mut self.above[x].coded,
            left: &mut self.left,
        };
        let [without_means, of_means, of_colors, with_means] = &self.trees;
        let (tree, first) = match macroblock.luma {
            Luma::Whole(_) => {
                reader.read(of_means, 0, steps.means, (MEANS, 0), (8, 8));
                (without_means, 1)
            }
            Luma::Blocks(_) => (with_means, 0),
        };
        for y in 0..4 {
            for x in 0..4 {
                reader.read(tree, first, steps.luma, (y, x), (x, y));
            }
        }
        for color in [0, 2] {
            for y in 0..2 {
                for x in color..color + 2 {
                    let beside = (4 + x, 4 + color + y);
                    reader.read(of_colors, 0, steps.color, (COLORS + y, x), beside);
                }
            }
        }
        self.partitions[partition] = reader.bools;
        if self.coded[MEANS] {
            self.spread_means();
        }
    }

    /// Gives each block of luma its mean.
    fn spread_means(&mut self) {
        let means = inverse::means(&self.strips[MEANS]);
        self.strips[MEANS] = Strip::default();
        for ((strip, coded), means) in self.strips.iter_mut().zip(&mut self.coded).zip(means) {
            for (block, mean) in means.into_iter().enumerate() {
                strip[0][4 * block] = mean;
            }
            *coded = true;
        }
    }

    /// A macroblock without coefficients.
    fn pass_over(&mut self, x: usize, macroblock: &Macroblock) {
        for coded in [&mut self.above[x].coded, &mut self.left] {
            // Blocks that are predicted by themselves have no means, and leave what the last ones were.
            let means = coded[8] && matches!(macroblock.luma, Luma::Blocks(_));
            *coded = [false; 9];
            coded[8] = means;
        }
        self.coded = [false; STRIPS];
    }

    /// Puts around a macroblock what it is predicted from.
    fn surround(
        &self,
        (x, y): (usize, usize),
        luma: &mut LumaSquare,
        colors: &mut [ColorSquare; 2],
    ) {
        if x > 0 {
            luma.advance();
            for color in &mut *colors {
                color.advance();
            }
        }
        if y > 0 {
            let above = &self.above[x];
            let right = self.above.get(x + 1);
            let right = right.map_or([above.luma[15]; 4], |right| {
                std::array::from_fn(|i| right.luma[i])
            });
            luma.put_above(&above.luma, right);
            for (color, above) in colors.iter_mut().zip(&above.colors) {
                color.put_above(above, [0; 4]);
            }
        }
    }

    /// Predicts a macroblock, and adds what its coefficients say.
    fn reconstruct(
        &mut self,
        (x, y): (usize, usize),
        macroblock: &Macroblock,
        luma: &mut LumaSquare,
        [blue, red]: &mut [ColorSquare; 2],
    ) {
        let edges = (x == 0, y == 0);
        for (strip, coded) in self.strips[..MEANS].iter_mut().zip(self.coded) {
            if coded {
                self.transform.apply(strip);
            }
        }
        let strips = self.strips[..MEANS].iter().zip(self.coded);
        let mut strips = strips.map(|(strip, coded)| coded.then_some(strip));
        match macroblock.luma {
            Luma::Whole(mode) => {
                luma.predict(mode, edges);
                for (row, strip) in strips.by_ref().take(COLORS).enumerate() {
                    if let Some(strip) = strip {
                        luma.add(row, strip);
                    }
                }
            }
            Luma::Blocks(modes) => {
                luma.repeat_right();
                let rows = modes.as_chunks::<4>().0.iter().zip(strips.by_ref());
                for (row, (modes, strip)) in rows.enumerate() {
                    for (column, mode) in modes.iter().enumerate() {
                        luma.put_block((4 * column, 4 * row), *mode, strip);
                    }
                }
            }
        }
        blue.predict(macroblock.color, edges);
        red.predict(macroblock.color, edges);
        for (row, strip) in strips.enumerate() {
            if let Some(strip) = strip {
                blue.add(row, strip, 0);
                red.add(row, strip, 8);
            }
        }
        for (strip, coded) in self.strips.iter_mut().zip(self.coded) {
            if coded {
                *strip = Strip::default();
            }
        }
    }
}
