//! Stored copies and how many pictures refer to each. Every function that changes something takes the row's lock, to the
//! transaction's end.

use super::{
    CatalogError,
    dialect::Dialect,
    query::{Query, Row},
};
use crate::domain::{Blob, Hash, ImageId};

pub(super) const REFER: &str = "INSERT INTO blobs (hash, generation, refs) VALUES ($1, $2, 1) \
     ON CONFLICT (hash) DO UPDATE SET refs = blobs.refs + 1 RETURNING hash, generation";
// Changes nothing: it is the way to lock a row that both databases understand.
pub(super) const LOCK_OF_IMAGE: &str = "UPDATE blobs SET refs = refs \
     WHERE hash = (SELECT images.hash FROM images WHERE images.id = $1) RETURNING hash, generation";
pub(super) const RELEASE: &str = "UPDATE blobs SET refs = refs - 1 WHERE hash = $1 AND refs > 1";
pub(super) const DELETE: &str = "DELETE FROM blobs WHERE hash = $1";
pub(super) const IS_THERE: &str = "SELECT hash FROM blobs WHERE hash = $1 AND generation = $2";

/// Counts one more reference to this content. Answers the copy to rely on: an older one when there is one, else `new`.
pub(super) async fn refer<D: Dialect>(
    connection: &mut D::Connection,
    new: &Blob,
) -> Result<Blob, CatalogError> {
    let query = Query::<D>::new(REFER)
        .bind(new.hash.as_bytes().to_vec())
        .bind(new.generation);
    let row = query.optional(connection).await?;
    blob(&row.ok_or_else(|| CatalogError::corrupt("a counted content has no row"))?)
}

/// Locks the copy of a picture, if there is such a picture.
pub(super) async fn lock_of_image<D: Dialect>(
    connection: &mut D::Connection,
    image: ImageId,
) -> Result<Option<Blob>, CatalogError> {
    let row = Query::<D>::new(LOCK_OF_IMAGE)
        .bind(image.0)
        .optional(connection)
        .await?;
    row.as_ref().map(blob).transpose()
}

/// Gives a reference back; `true` when it was the last, and the row is gone.
pub(super) async fn release<D: Dialect>(
    connection: &mut D::Connection,
    blob: &Blob,
) -> Result<bool, CatalogError> {
    if release_one_of_several::<D>(connection, &blob.hash).await? {
        return Ok(false);
    }
    Query::<D>::new(DELETE)
        .bind(blob.hash.as_bytes().to_vec())
        .execute(connection)
        .await?;
    Ok(true)
}

/// Gives a reference back unless it is the last.
pub(super) async fn release_one_of_several<D: Dialect>(
    connection: &mut D::Connection,
    hash: &Hash,
) -> Result<bool, CatalogError> {
    Ok(Query::<D>::new(RELEASE)
        .bind(hash.as_bytes().to_vec())
        .execute(connection)
        .await?
        == 1)
}

/// Whether this copy, and not only one of the same content, is referred to.
pub(super) async fn is_there<D: Dialect>(
    connection: &mut D::Connection,
    blob: Blob,
) -> Result<bool, CatalogError> {
    let query = Query::<D>::new(IS_THERE)
        .bind(blob.hash.as_bytes().to_vec())
        .bind(blob.generation);
    Ok(query.optional(connection).await?.is_some())
}

/// The copy that a row with `hash` and `generation` names.
pub(super) fn blob<D: Dialect>(row: &Row<D>) -> Result<Blob, CatalogError> {
    let hash: Vec<u8> = row.get("hash")?;
    let hash: [u8; 32] = hash.try_into().map_err(|hash: Vec<u8>| {
        CatalogError::corrupt(format!("a hash of {} bytes", hash.len()))
    })?;
    Ok(Blob {
        hash: hash.into(),
        generation: row.get("generation")?,
    })
}
