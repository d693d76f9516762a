//! Fills a service with the pictures of some folders and waits until their presets are ready.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::exit::Failure;
use crate::target::{Target, Uploaded};

/// What a service stores of every picture after an upload.
const PRESETS: [&str; 3] = ["thumb", "small", "medium"];
/// Uploads at a time.
const CONCURRENCY: usize = 4;
/// How long all presets together may take from the last upload on.
const READY_WITHIN: Duration = Duration::from_mins(3);
const POLL: Duration = Duration::from_millis(100);
/// Folders below folders, so that a loop of links ends.
const MAX_DEPTH: usize = 16;

/// What became of the pictures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seeded {
    /// New ones.
    pub created: usize,
    /// The same bytes were there before.
    pub already_there: usize,
    /// Files that the service refused, and why.
    pub refused: Vec<(PathBuf, String)>,
}

/// Uploads every picture below `folders` and returns when each has its presets.
pub async fn seed(target: &Target, folders: &[PathBuf]) -> Result<Seeded, Failure> {
    let files = picture_files(folders)?;
    let mut seeded = Seeded::default();
    let mut ids = Vec::with_capacity(files.len());
    let mut uploads = tokio::task::JoinSet::new();
    let mut waiting = files.into_iter();
    loop {
        while uploads.len() < CONCURRENCY
            && let Some(path) = waiting.next()
        {
            let target = target.clone();
            uploads.spawn(async move {
                let media_type = media_type(&path).unwrap_or("application/octet-stream");
                let bytes = tokio::fs::read(&path).await;
                let bytes = bytes
                    .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
                Ok::<_, Failure>((path, target.upload(bytes, media_type).await?))
            });
        }
        let Some(upload) = uploads.join_next().await else {
            break;
        };
        let (path, uploaded) =
            upload.map_err(|error| Failure::Internal(format!("an upload failed: {error}")))??;
        match uploaded {
            Uploaded::Created(image) => {
                seeded.created += 1;
                ids.push(image.id);
            }
            Uploaded::AlreadyThere(image) => {
                seeded.already_there += 1;
                ids.push(image.id);
            }
            Uploaded::Refused(why) => seeded.refused.push((path, why)),
        }
    }
    seeded.refused.sort();
    wait_for_presets(target, ids).await?;
    Ok(seeded)
}

async fn wait_for_presets(target: &Target, mut ids: Vec<String>) -> Result<(), Failure> {
    let deadline = Instant::now() + READY_WITHIN;
    while let Some(id) = ids.last() {
        let image = target.image(id).await?;
        if PRESETS.iter().all(|preset| {
            image
                .variants
                .iter()
                .any(|variant| variant.preset == *preset)
        }) {
            ids.pop();
        } else if Instant::now() > deadline {
            let seconds = READY_WITHIN.as_secs();
            return Err(Failure::Unavailable(format!(
                "{} has not all of {} after {seconds} s, and {} more pictures wait: does a worker run (`chitram serve --role worker`)?",
                target.url(&format!("/v1/images/{id}")),
                PRESETS.join(", "),
                ids.len() - 1
            )));
        } else {
            tokio::time::sleep(POLL).await;
        }
    }
    Ok(())
}

/// The pictures below the folders, by their extension, sorted.
pub(crate) fn picture_files(folders: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for folder in folders {
        collect(folder, MAX_DEPTH, &mut files).map_err(|error| {
            Failure::Usage(format!("{}: can't be read: {error}", folder.display()))
        })?;
    }
    files.sort();
    files.dedup();
    if files.is_empty() {
        let folders: Vec<String> = folders
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        return Err(Failure::Usage(format!(
            "{}: no .jpg, .jpeg, .png, .webp or .gif file there; make some with `chitram-load pictures DIR`",
            folders.join(", ")
        )));
    }
    Ok(files)
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if depth > 0 {
                collect(&path, depth - 1, files)?;
            }
        } else if media_type(&path).is_some() {
            files.push(path);
        }
    }
    Ok(())
}

/// What a file is by its extension; `None` for what is no picture.
fn media_type(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match extension.as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        _ => return None,
    })
}
