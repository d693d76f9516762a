//! The job after an upload: stores the renders that most readers ask for.

use jiff::Timestamp;
use std::time::{Duration, Instant};

use super::{Handlers, JobError};
use crate::{
    domain::{Image, ImageId, Preset, Variant},
    renders,
    store::Key,
    telemetry::Stage,
};

impl Handlers {
    pub(super) async fn render_presets(
        &self,
        id: ImageId,
        accepted_at: Timestamp,
    ) -> Result<(), JobError> {
        let Some(image) = self.catalog.image(id).await? else {
            // Deleted meanwhile.
            return Ok(());
        };
        if self.render_missing(&image).await? {
            let elapsed = Timestamp::now().duration_since(accepted_at);
            self.image_ready
                .record(Duration::try_from(elapsed).unwrap_or_default());
        }
        Ok(())
    }

    /// Renders what an earlier attempt has not stored yet. `false` when the picture was deleted meanwhile.
    async fn render_missing(&self, image: &Image) -> Result<bool, JobError> {
        let stored = |preset, format| image.variant(preset, format).is_some();
        let missing = Preset::STORED
            .into_iter()
            .filter(|(preset, format)| !stored(*preset, *format));
        let began = Instant::now();
        let original = self
            .store
            .get(&Key::Original(image.blob))
            .await?
            .sized(image.bytes)?
            .bytes()
            .await?;
        self.renderer.record(Stage::Fetch, image.format, began);

        for (preset, format) in missing {
            let encoded = self
                .renderer
                .render(original.clone(), renders::preset(preset, format)?)
                .await?;
            let variant = Variant {
                preset,
                format,
                width: encoded.size.width,
                height: encoded.size.height,
                bytes: encoded.bytes.len() as u64,
            };
            let key = Key::Variant(image.blob, preset, format);
            let began = Instant::now();
            self.store.put(&key, encoded.bytes.into()).await?;
            self.renderer.record(Stage::Store, format, began);
            if !self.catalog.record_variant(&image.blob, &variant).await? {
                // The purge may have passed before the object was there.
                self.store.delete(&key).await?;
                return Ok(false);
            }
        }
        Ok(true)
    }
}
