//! The proxies by name. One operation at a time; none waits for a client or an upstream, only for the resolver and for
//! sockets to close.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::sync::Mutex;

use super::{
    api_error::ApiError,
    json::Object,
    proxy::{Proxy, ProxyView},
};

/// Proxies at a time.
const MAX_PROXIES: usize = 256;

/// See the module.
#[derive(Default)]
pub(super) struct Collection {
    proxies: Mutex<BTreeMap<String, Proxy>>,
}

/// What `POST /populate` did before it was done or failed.
pub(super) struct Populated {
    pub(super) proxies: Vec<ProxyView>,
    pub(super) failure: Option<ApiError>,
}

impl Collection {
    /// Adds the proxy that `body` describes.
    pub(super) async fn create(&self, body: &Value) -> Result<ProxyView, ApiError> {
        let wanted = Wanted::parse(body, "")?;
        let mut proxies = self.proxies.lock().await;
        if proxies.contains_key(&wanted.name) {
            return Err(ApiError::proxy_exists());
        }
        wanted.put(&mut proxies).await
    }

    /// Adds or replaces the proxies that `body` lists, up to the first that fails. One whose addresses are unchanged
    /// stays as it is, toxics, connections and switch included.
    pub(super) async fn populate(&self, body: &Value) -> Populated {
        let mut views = Vec::new();
        let failure = self.populate_into(&mut views, body).await.err();
        Populated {
            proxies: views,
            failure,
        }
    }

    async fn populate_into(
        &self,
        views: &mut Vec<ProxyView>,
        body: &Value,
    ) -> Result<(), ApiError> {
        let list = match body {
            Value::Null => &Vec::new(),
            Value::Array(list) => list,
            _ => return Err(ApiError::bad_body("a list of proxies is needed")),
        };
        let numbered = list.iter().zip(1..);
        let wanted =
            numbered.map(|(entry, number)| Wanted::parse(entry, &format!(" at proxy {number}")));
        let wanted = wanted.collect::<Result<Vec<Wanted>, ApiError>>()?;
        let mut proxies = self.proxies.lock().await;
        for proxy in wanted {
            views.push(proxy.put_if_other(&mut proxies).await?);
        }
        Ok(())
    }

    pub(super) async fn list(&self) -> BTreeMap<String, ProxyView> {
        self.proxies
            .lock()
            .await
            .iter()
            .map(|(name, proxy)| (name.clone(), proxy.view()))
            .collect()
    }

    /// Changes the addresses and the switch of a proxy. What `body` does not name stays.
    pub(super) async fn update(&self, name: &str, body: &Value) -> Result<ProxyView, ApiError> {
        let mut proxies = self.proxies.lock().await;
        let proxy = proxies
            .get_mut(name)
            .ok_or_else(ApiError::proxy_not_found)?;
        let fields = Object::of(body)?;
        fields.string("name")?;
        let listen = fields
            .string("listen")?
            .unwrap_or_else(|| proxy.listen.clone());
        let upstream = fields
            .string("upstream")?
            .unwrap_or_else(|| proxy.upstream.clone());
        let enabled = fields
            .boolean("enabled")?
            .unwrap_or_else(|| proxy.is_enabled());
        proxy.update(listen, upstream, enabled).await?;
        Ok(proxy.view())
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), ApiError> {
        let mut proxies = self.proxies.lock().await;
        let mut proxy = proxies.remove(name).ok_or_else(ApiError::proxy_not_found)?;
        proxy.stop().await;
        Ok(())
    }

    /// Does something with one proxy.
    pub(super) async fn with<T>(
        &self,
        name: &str,
        operation: impl FnOnce(&mut Proxy) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut proxies = self.proxies.lock().await;
        operation(
            proxies
                .get_mut(name)
                .ok_or_else(ApiError::proxy_not_found)?,
        )
    }

    /// Enables every proxy and removes its toxics, up to the first that can't start.
    pub(super) async fn reset(&self) -> Result<(), ApiError> {
        for proxy in self.proxies.lock().await.values_mut() {
            proxy.start().await?;
            proxy.remove_all_toxics();
        }
        Ok(())
    }

    /// Closes and removes every proxy.
    pub(super) async fn clear(&self) {
        let proxies = std::mem::take(&mut *self.proxies.lock().await);
        for mut proxy in proxies.into_values() {
            proxy.stop().await;
        }
    }
}

/// A proxy that a client asks for.
struct Wanted {
    name: String,
    listen: String,
    upstream: String,
    enabled: bool,
}

impl Wanted {
    /// `place` ends the sentence about a missing field.
    fn parse(body: &Value, place: &str) -> Result<Self, ApiError> {
        let fields = Object::of(body)?;
        let required = |name| match fields.string(name)? {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(ApiError::missing_field(format_args!("{name}{place}"))),
        };
        let listen = fields.string("listen")?.unwrap_or_default();
        let enabled = fields.boolean("enabled")?.unwrap_or(true);
        Ok(Self {
            name: required("name")?,
            listen,
            upstream: required("upstream")?,
            enabled,
        })
    }

    /// Starts it if it is to be enabled, and puts it under its name.
    async fn put(self, proxies: &mut BTreeMap<String, Proxy>) -> Result<ProxyView, ApiError> {
        refuse_too_many(proxies, &self.name)?;
        let mut proxy = Proxy::new(self.name, self.listen, self.upstream);
        if self.enabled {
            proxy.start().await?;
        }
        let view = proxy.view();
        proxies.insert(proxy.name.clone(), proxy);
        Ok(view)
    }

    /// Leaves a proxy of that name alone that has these addresses; stops and replaces one that has others.
    async fn put_if_other(
        self,
        proxies: &mut BTreeMap<String, Proxy>,
    ) -> Result<ProxyView, ApiError> {
        if let Some(existing) = proxies.get_mut(&self.name) {
            if !existing.differs(&self.listen, &self.upstream).await? {
                return Ok(existing.view());
            }
            existing.stop().await;
        }
        self.put(proxies).await
    }
}

fn refuse_too_many(proxies: &BTreeMap<String, Proxy>, name: &str) -> Result<(), ApiError> {
    let full = proxies.len() >= MAX_PROXIES && !proxies.contains_key(name);
    if full {
        Err(ApiError::full("proxies", MAX_PROXIES))
    } else {
        Ok(())
    }
}
