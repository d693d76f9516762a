//! The job after the last picture of a copy is gone: its objects go too.

use super::{Handlers, JobError};
use crate::{
    domain::{Blob, Preset},
    store::Key,
};

impl Handlers {
    /// Nothing can refer to this copy again (see `catalog`), so there is nothing to check and no hurry.
    pub(super) async fn purge(&self, blob: &Blob) -> Result<(), JobError> {
        self.store.delete(&Key::Original(*blob)).await?;
        for (preset, format) in Preset::STORED {
            self.store
                .delete(&Key::Variant(*blob, preset, format))
                .await?;
        }
        Ok(())
    }
}
