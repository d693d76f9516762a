//! Photograph-like pictures, the same on every machine: layered noise, gradients, hard edges and grain, in the formats
//! that people upload.
//!
//! Quick even in a build that does not optimise this crate: see `grid`. This module knows nothing of the service.

mod encode;
mod grid;
pub(crate) mod jpeg;
mod paint;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use thiserror::Error;

use crate::mix::mix;
pub use encode::Kind;

/// The pictures of a set repeat these kinds and megapixels; the large ones are there so that a service meets them.
const CYCLE: [(Kind, f64); 12] = [
    (Kind::BaselineJpeg, 1.9),
    (Kind::ProgressiveJpeg, 1.0),
    (Kind::TransparentPng, 0.4),
    (Kind::RotatedJpeg, 1.5),
    (Kind::WideGamutJpeg, 0.8),
    (Kind::Webp, 0.3),
    (Kind::BaselineJpeg, 0.1),
    (Kind::ProgressiveJpeg, 6.0),
    (Kind::BaselineJpeg, 12.0),
    (Kind::RotatedJpeg, 0.5),
    (Kind::TransparentPng, 0.8),
    (Kind::WideGamutJpeg, 1.9),
];

/// Width by height.
const ASPECTS: [(u32, u32); 5] = [(4, 3), (3, 2), (16, 9), (3, 4), (1, 1)];

/// Why a picture could not be made or written.
#[derive(Debug, Error)]
pub enum PictureError {
    /// A file or folder could not be written.
    #[error("{}: can't be written: {source}; choose another folder", path.display())]
    Write {
        /// What could not be written.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An encoder or resizer refused; a defect of ours.
    #[error("picture {index} could not be made: {reason}")]
    Make {
        /// Its index in the set.
        index: usize,
        /// Why.
        reason: String,
    },
}

/// One picture of a set before it is painted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spec {
    /// Format and what is special about it.
    pub kind: Kind,
    /// As stored, before an orientation is applied.
    pub width: u32,
    /// As stored.
    pub height: u32,
    /// Chooses everything that is painted.
    pub seed: u64,
}

/// What a set of pictures became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The files in the order of their index.
    pub files: Vec<PathBuf>,
    /// Their sizes added.
    pub bytes: u64,
}

impl Spec {
    /// Picture `index` of the set `seed`, no larger than `max_megapixels`.
    pub fn new(seed: u64, index: usize, max_megapixels: f64) -> Self {
        let (kind, megapixels) = CYCLE[index % CYCLE.len()];
        let (across, down) = ASPECTS[index % ASPECTS.len()];
        let unit = (megapixels.min(max_megapixels) * 1e6 / f64::from(across * down)).sqrt();
        let side = |units: u32| ((f64::from(units) * unit).floor() as u32).max(16);
        Self {
            kind,
            width: side(across),
            height: side(down),
            seed: mix(seed, index as u64),
        }
    }

    /// The file's name in a set.
    pub fn file_name(&self, index: usize) -> String {
        format!(
            "{index:03}-{}-{}x{}.{}",
            self.kind.name(),
            self.width,
            self.height,
            self.kind.extension()
        )
    }

    /// Paints and encodes the picture. The error is a sentence.
    pub fn make(&self) -> Result<Vec<u8>, String> {
        let painting = paint::paint(self.width, self.height, self.kind.layers(), self.seed);
        encode::encode(&painting, self.kind)
    }
}

/// Makes `count` pictures and writes them into `folder`, on all cores.
pub fn write_set(
    folder: &Path,
    count: usize,
    seed: u64,
    max_megapixels: f64,
) -> Result<Written, PictureError> {
    std::fs::create_dir_all(folder).map_err(|source| PictureError::Write {
        path: folder.to_owned(),
        source,
    })?;
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(count));
    let work = || -> Result<(), PictureError> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok(());
            }
            let written = write_one(folder, index, &Spec::new(seed, index, max_megapixels))?;
            done.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push((index, written));
        }
    };
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(count.max(1));
    std::thread::scope(|scope| {
        let painters: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        painters
            .into_iter()
            .try_for_each(|painter| match painter.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })?;
    let mut done = done
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    let bytes = done.iter().map(|(_, (_, bytes))| bytes).sum();
    Ok(Written {
        files: done.into_iter().map(|(_, (path, _))| path).collect(),
        bytes,
    })
}

fn write_one(folder: &Path, index: usize, spec: &Spec) -> Result<(PathBuf, u64), PictureError> {
    let bytes = spec
        .make()
        .map_err(|reason| PictureError::Make { index, reason })?;
    let path = folder.join(spec.file_name(index));
    let written = std::fs::File::create(&path).and_then(|mut file| file.write_all(&bytes));
    match written {
        Ok(()) => Ok((path, bytes.len() as u64)),
        Err(source) => Err(PictureError::Write { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_every_kind_and_sizes_from_a_tenth_to_twelve_megapixels() {
        let set: Vec<Spec> = (0..CYCLE.len())
            .map(|index| Spec::new(7, index, 12.0))
            .collect();
        for kind in Kind::ALL {
            assert!(set.iter().any(|spec| spec.kind == kind), "{kind:?}");
        }
        let megapixels = |spec: &Spec| f64::from(spec.width * spec.height) / 1e6;
        let smallest = set.iter().map(megapixels).fold(f64::MAX, f64::min);
        let largest = set.iter().map(megapixels).fold(0.0, f64::max);
        assert!(
            (0.09..=0.1).contains(&smallest) && (11.9..=12.0).contains(&largest),
            "{smallest} {largest}"
        );
        assert!((0..CYCLE.len()).all(|index| megapixels(&Spec::new(7, index, 2.0)) <= 2.0));
    }

    #[test]
    fn a_set_is_the_same_whoever_makes_it() {
        let (first, second) = (
            tempfile::tempdir().expect("folder"),
            tempfile::tempdir().expect("folder"),
        );
        let one = write_set(first.path(), 6, 3, 0.05).expect("written");
        let two = write_set(second.path(), 6, 3, 0.05).expect("written");
        assert_eq!((one.files.len(), one.bytes), (6, two.bytes));
        let hash = |path: &PathBuf| blake3::hash(&std::fs::read(path).expect("file"));
        for (a, b) in one.files.iter().zip(&two.files) {
            assert_eq!((a.file_name(), hash(a)), (b.file_name(), hash(b)));
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let error = write_set(&file.path().join("below"), 1, 1, 0.1)
            .expect_err("refused")
            .to_string();
        assert!(
            error.contains("below") && error.contains("can't be written"),
            "{error}"
        );
    }
}
