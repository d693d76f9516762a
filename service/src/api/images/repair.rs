//! An upload of bytes that the catalog knows: is their object there, and whole? Nothing is acknowledged on the word of a row
//! alone, or the only copy that somebody still has would be thrown away.

use bytes::Bytes;

use super::super::Api;
use super::super::problem::Problem;
use crate::domain::Image;
use crate::store::{Key, StoreError};
use crate::telemetry::Damage;

/// What is wrong with the object of `image`. An error when that can't be found out.
pub(super) async fn damage(api: &Api, image: &Image) -> Result<Option<Damage>, StoreError> {
    match api.store.size(&Key::Original(image.blob)).await {
        Ok(size) if size == image.bytes => Ok(None),
        Ok(_) => Ok(Some(Damage::Size)),
        // To somebody who may not list a bucket, S3 calls an object that is not there forbidden. Putting the same bytes under
        // the same key does no harm; whether it is allowed, it says then.
        Err(StoreError::NotFound { .. } | StoreError::Refused { .. }) => Ok(Some(Damage::Missing)),
        Err(error) => Err(error),
    }
}

/// Puts the object of `image` again: `bytes` are what its key belongs to. `false` when its copy was given up meanwhile, and
/// the object is gone again.
pub(super) async fn repair(
    api: &Api,
    image: &Image,
    damage: Damage,
    bytes: Bytes,
) -> Result<bool, Problem> {
    let key = Key::Original(image.blob);
    api.store.put(&key, bytes).await?;
    let has_copy = api.catalog.has_copy(&image.blob).await;
    let has_copy = has_copy.inspect_err(|error| orphaned(api, &key, error))?;
    if !has_copy {
        // The purge may have passed before the object was there. Nothing refers to this copy again.
        remove(api, &key).await;
        return Ok(false);
    }
    api.metrics.repaired(damage);
    tracing::warn!(
        event.dataset = "chitram.api",
        image = %image.id,
        %key,
        reason = damage.name(),
        "object repaired"
    );
    Ok(true)
}

/// Removes an object that no row refers to; one that stays is counted, because it costs space and nobody else sees it.
pub(super) async fn remove(api: &Api, key: &Key) {
    if let Err(error) = api.store.delete(key).await {
        orphaned(api, key, &error);
    }
}

/// An object was left, maybe without a row, because of `cause`.
pub(super) fn orphaned(api: &Api, key: &Key, cause: &dyn std::error::Error) {
    api.metrics.objects_orphaned.inc();
    tracing::warn!(
        event.dataset = "chitram.api",
        %key,
        error.message = %cause,
        "object left without a row"
    );
}
