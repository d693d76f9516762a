//! Pictures and their variants.

use super::{
    CatalogError, Inserted, blobs,
    dialect::Dialect,
    jobs,
    query::{Query, Row},
};
use crate::domain::{
    Blob, Color, Cursor, Hash, Image, ImageId, NewImage, Owner, Page, PageRequest, Variant, Work,
};

/// Stands between the tags of a picture in one column; it is in no tag, being a control character.
const TAG_SEPARATOR: char = '\u{1f}';

/// The columns of [`image`], followed by the rest of a statement.
macro_rules! select_images {
    ($columns:literal, $rest:literal) => {
        concat!(
            "SELECT images.id, images.owner, images.hash, blobs.generation, images.title, images.format, images.width, \
             images.height, images.alpha, images.bytes, images.color, images.created_at, \
             (SELECT string_agg(tags.tag, '\u{1f}' ORDER BY tags.tag) FROM tags WHERE tags.image = images.id) AS tags",
            $columns,
            " FROM images JOIN blobs ON blobs.hash = images.hash ",
            $rest
        )
    };
}

/// [`select_images`] with the columns of [`variant`]: one row for each variant, at least one.
macro_rules! select_images_with_variants {
    ($rest:literal) => {
        select_images!(
            ", variants.preset AS variant_preset, variants.format AS variant_format, \
             variants.width AS variant_width, variants.height AS variant_height, variants.bytes AS variant_bytes",
            $rest
        )
    };
}

pub(super) const BY_ID: &str = select_images_with_variants!(
    "LEFT JOIN variants ON variants.hash = images.hash WHERE images.id = $1"
);
pub(super) const BY_HASH: &str = select_images_with_variants!(
    "LEFT JOIN variants ON variants.hash = images.hash WHERE images.hash = $1 AND images.owner = $2"
);
pub(super) const NEWEST: &str = select_images!(
    "",
    "WHERE images.owner = $1 ORDER BY images.created_at DESC, images.id DESC LIMIT $2"
);
pub(super) const NEWEST_AFTER: &str = select_images!(
    "",
    "WHERE images.owner = $1 AND (images.created_at, images.id) < ($3, $4) \
     ORDER BY images.created_at DESC, images.id DESC LIMIT $2"
);
pub(super) const INSERT: &str = "INSERT INTO images \
     (id, owner, hash, format, width, height, alpha, bytes, color, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (hash, owner) DO NOTHING";
pub(super) const DELETE: &str = "DELETE FROM images WHERE id = $1";
pub(super) const RECORD_VARIANT: &str = "INSERT INTO variants \
     (hash, generation, preset, format, width, height, bytes) VALUES ($1, $2, $3, $4, $5, $6, $7) \
     ON CONFLICT (hash, preset, format) \
     DO UPDATE SET width = excluded.width, height = excluded.height, bytes = excluded.bytes";

/// In a transaction. Takes the blob's lock before the picture's, as [`delete`] does.
pub(super) async fn insert<D: Dialect>(
    connection: &mut D::Connection,
    new: NewImage,
) -> Result<Inserted, CatalogError> {
    let blob = blobs::refer::<D>(connection, &new.blob).await?;
    let image = accepted(&new, blob);
    let created = Query::<D>::new(INSERT)
        .bind(image.id.0)
        .bind(image.owner.0.clone())
        .bind(blob.hash.as_bytes().to_vec())
        .bind(image.format.name().to_owned())
        .bind(i64::from(image.width))
        .bind(i64::from(image.height))
        .bind(image.alpha)
        .bind(image.bytes as i64)
        .bind(color_number(image.color))
        .bind(image.created_at.as_microsecond())
        .execute(connection)
        .await?
        == 1;
    let image = if created {
        image
    } else {
        keep_present::<D>(connection, &new).await?
    };
    let job = if blob != new.blob {
        let redundant = Work::Purge { blob: new.blob };
        jobs::enqueue::<D>(connection, &redundant, None).await?;
        None
    } else if created {
        let work = Work::RenderPresets { image: image.id };
        Some(jobs::enqueue::<D>(connection, &work, new.traceparent).await?)
    } else {
        None
    };
    Ok(Inserted {
        image,
        created,
        job,
    })
}

/// The owner's picture with these bytes, which turned out to be there; its reference is given back.
async fn keep_present<D: Dialect>(
    connection: &mut D::Connection,
    new: &NewImage,
) -> Result<Image, CatalogError> {
    blobs::release_one_of_several::<D>(connection, &new.blob.hash).await?;
    by_hash::<D>(connection, &new.owner, &new.blob.hash)
        .await?
        .ok_or_else(|| CatalogError::corrupt("a picture vanished while its content was locked"))
}

fn accepted(new: &NewImage, blob: Blob) -> Image {
    Image {
        id: ImageId::new(),
        owner: new.owner.clone(),
        blob,
        title: None,
        tags: Vec::new(),
        format: new.format,
        width: new.width,
        height: new.height,
        alpha: new.alpha,
        bytes: new.bytes,
        color: new.color,
        created_at: jobs::now(),
        variants: Vec::new(),
    }
}

/// In a transaction.
pub(super) async fn delete<D: Dialect>(
    connection: &mut D::Connection,
    id: ImageId,
) -> Result<bool, CatalogError> {
    let Some(blob) = blobs::lock_of_image::<D>(connection, id).await? else {
        return Ok(false);
    };
    if Query::<D>::new(DELETE)
        .bind(id.0)
        .execute(connection)
        .await?
        == 0
    {
        return Ok(false);
    }
    if blobs::release::<D>(connection, &blob).await? {
        jobs::enqueue::<D>(connection, &Work::Purge { blob }, None).await?;
    }
    Ok(true)
}

pub(super) async fn by_id<D: Dialect>(
    connection: &mut D::Connection,
    id: ImageId,
) -> Result<Option<Image>, CatalogError> {
    with_variants(&Query::<D>::new(BY_ID).bind(id.0).all(connection).await?)
}

pub(super) async fn by_hash<D: Dialect>(
    connection: &mut D::Connection,
    owner: &Owner,
    hash: &Hash,
) -> Result<Option<Image>, CatalogError> {
    let query = Query::<D>::new(BY_HASH)
        .bind(hash.as_bytes().to_vec())
        .bind(owner.0.clone());
    with_variants(&query.all(connection).await?)
}

pub(super) async fn list<D: Dialect>(
    connection: &mut D::Connection,
    page: PageRequest,
) -> Result<Page, CatalogError> {
    // One more than asked tells whether there is a next page.
    let limit = i64::from(page.limit) + 1;
    let query = match page.after {
        None => Query::<D>::new(NEWEST).bind(page.owner.0).bind(limit),
        Some(Cursor { created_at, id }) => Query::<D>::new(NEWEST_AFTER)
            .bind(page.owner.0)
            .bind(limit)
            .bind(created_at.as_microsecond())
            .bind(id.0),
    };
    let rows = query.all(connection).await?;
    let more = rows.len() > page.limit as usize;
    let images: Vec<Image> = rows
        .iter()
        .take(page.limit as usize)
        .map(image)
        .collect::<Result<_, _>>()?;
    let next = images.last().filter(|_| more).map(|last| Cursor {
        created_at: last.created_at,
        id: last.id,
    });
    Ok(Page { images, next })
}

pub(super) async fn record_variant<D: Dialect>(
    connection: &mut D::Connection,
    blob: Blob,
    variant: Variant,
) -> Result<bool, CatalogError> {
    let recorded = Query::<D>::new(RECORD_VARIANT)
        .bind(blob.hash.as_bytes().to_vec())
        .bind(blob.generation)
        .bind(variant.preset.name().to_owned())
        .bind(variant.format.name().to_owned())
        .bind(i64::from(variant.width))
        .bind(i64::from(variant.height))
        .bind(variant.bytes as i64)
        .execute(connection)
        .await;
    match recorded {
        Ok(_) => Ok(true),
        // The foreign key: the copy is gone.
        Err(CatalogError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// One picture from its rows, one for each variant.
fn with_variants<D: Dialect>(rows: &[Row<D>]) -> Result<Option<Image>, CatalogError> {
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let mut image = image(first)?;
    for row in rows {
        image.variants.extend(variant(row)?);
    }
    image
        .variants
        .sort_by_key(|variant| (variant.preset, variant.format));
    Ok(Some(image))
}

fn image<D: Dialect>(row: &Row<D>) -> Result<Image, CatalogError> {
    let tags: Option<String> = row.get("tags")?;
    Ok(Image {
        id: ImageId(row.get("id")?),
        owner: Owner(row.get("owner")?),
        blob: blobs::blob(row)?,
        title: row.get("title")?,
        tags: tags
            .map(|tags| tags.split(TAG_SEPARATOR).map(str::to_owned).collect())
            .unwrap_or_default(),
        format: row.word("format")?,
        width: row.number("width")?,
        height: row.number("height")?,
        alpha: row.get("alpha")?,
        bytes: row.number("bytes")?,
        color: color(row.number("color")?),
        created_at: row.time("created_at")?,
        variants: Vec::new(),
    })
}

fn variant<D: Dialect>(row: &Row<D>) -> Result<Option<Variant>, CatalogError> {
    let Some(preset) = row.get::<Option<String>>("variant_preset")? else {
        return Ok(None);
    };
    Ok(Some(Variant {
        preset: preset.parse()?,
        format: row.word("variant_format")?,
        width: row.number("variant_width")?,
        height: row.number("variant_height")?,
        bytes: row.number("variant_bytes")?,
    }))
}

fn color_number(Color([red, green, blue]): Color) -> i64 {
    i64::from(u32::from_be_bytes([0, red, green, blue]))
}

fn color(number: u32) -> Color {
    let [_, red, green, blue] = number.to_be_bytes();
    Color([red, green, blue])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_survives_its_number() {
        let rose = Color([0xff, 0x66, 0x01]);
        assert_eq!(
            color(u32::try_from(color_number(rose)).expect("24 bits")),
            rose
        );
    }
}
