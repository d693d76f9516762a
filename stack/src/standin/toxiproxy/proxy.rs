//! One proxy: a name, two addresses, its toxics, and while it is enabled a listener with its connections.

use std::{io, net::SocketAddr, sync::Arc};

use serde::Serialize;
use serde_json::{Map, Value};
use tokio::{net::TcpListener, sync::watch};

use super::{
    address,
    api_error::ApiError,
    listening::Listening,
    toxic::{Toxic, Toxics},
};

/// Toxics of one proxy.
const MAX_TOXICS: usize = 64;

/// A proxy. Dropped, it stops.
pub(super) struct Proxy {
    pub(super) name: String,
    /// As the client wrote it until a listener is bound; then where that listens.
    pub(super) listen: String,
    pub(super) upstream: String,
    /// Live connections follow it.
    toxics: watch::Sender<Toxics>,
    last_id: u64,
    listening: Option<Listening>,
}

/// A proxy as the API prints it.
#[derive(Serialize)]
pub(super) struct ProxyView {
    name: String,
    listen: String,
    upstream: String,
    enabled: bool,
    /// The real server prints this too, always empty.
    #[serde(rename = "Logger")]
    logger: Map<String, Value>,
    toxics: Vec<Toxic>,
}

/// Addresses and the switch.
impl Proxy {
    /// Disabled and without toxics.
    pub(super) fn new(name: String, listen: String, upstream: String) -> Self {
        let (toxics, _) = watch::channel(Toxics::default());
        Self {
            name,
            listen,
            upstream,
            toxics,
            last_id: 0,
            listening: None,
        }
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.listening.is_some()
    }

    /// Whether these addresses are other ones. A listen address with port 0 always is.
    pub(super) async fn differs(&self, listen: &str, upstream: &str) -> Result<bool, ApiError> {
        let address = address::resolve(listen).await.map_err(ApiError::address)?;
        Ok(self.listen != address.to_string() || self.upstream != upstream)
    }

    /// Binds the listen address and accepts, unless it does already.
    pub(super) async fn start(&mut self) -> Result<(), ApiError> {
        if self.is_enabled() {
            return Ok(());
        }
        let address = address::resolve(&self.listen)
            .await
            .map_err(|cause| cannot_listen(&cause))?;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| cannot_bind(address, &error))?;
        let address = listener
            .local_addr()
            .map_err(|error| cannot_listen(&error.to_string()))?;
        self.listen = address.to_string();
        let (upstream, toxics) = (self.upstream.clone(), self.toxics.subscribe());
        self.listening = Some(Listening::start(listener, upstream, toxics));
        Ok(())
    }

    /// Stops listening and closes every connection; both are done when it returns.
    pub(super) async fn stop(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.stop().await;
        }
    }

    /// Moves and switches the proxy. Another address closes its connections; one that can't be bound leaves it disabled
    /// with that address.
    pub(super) async fn update(
        &mut self,
        listen: String,
        upstream: String,
        enabled: bool,
    ) -> Result<(), ApiError> {
        if self.differs(&listen, &upstream).await? {
            self.stop().await;
            self.listen = listen;
            self.upstream = upstream;
        }
        if enabled {
            return self.start().await;
        }
        self.stop().await;
        Ok(())
    }

    pub(super) fn view(&self) -> ProxyView {
        ProxyView {
            name: self.name.clone(),
            listen: self.listen.clone(),
            upstream: self.upstream.clone(),
            enabled: self.is_enabled(),
            logger: Map::new(),
            toxics: self.toxics(),
        }
    }
}

/// Toxics.
impl Proxy {
    pub(super) fn toxics(&self) -> Vec<Toxic> {
        self.toxics
            .borrow()
            .iter()
            .map(|toxic| Toxic::clone(toxic))
            .collect()
    }

    pub(super) fn toxic(&self, name: &str) -> Result<Toxic, ApiError> {
        self.toxics
            .borrow()
            .get(name)
            .map(|toxic| Toxic::clone(toxic))
            .ok_or_else(ApiError::toxic_not_found)
    }

    /// Adds the toxic that `body` describes, behind those of its direction.
    pub(super) fn add_toxic(&mut self, body: &Value) -> Result<Toxic, ApiError> {
        let (direction, mut toxic) = Toxic::parse(body)?;
        if self.toxic(&toxic.name).is_ok() {
            return Err(ApiError::toxic_exists());
        }
        if self.toxics.borrow().iter().count() >= MAX_TOXICS {
            return Err(ApiError::full("toxics of a proxy", MAX_TOXICS));
        }
        toxic.set_attributes(body)?;
        self.last_id += 1;
        toxic.id = self.last_id;
        self.toxics
            .send_modify(|toxics| toxics.push(direction, toxic.clone()));
        Ok(toxic)
    }

    /// Changes attributes and toxicity. A partly bad body is refused, yet its good attributes are applied: so does the
    /// real server.
    pub(super) fn update_toxic(&mut self, name: &str, body: &Value) -> Result<Toxic, ApiError> {
        let mut toxic = self.toxic(name)?;
        let outcome = toxic.update(body);
        toxic.revision += 1;
        let shared = Arc::new(toxic.clone());
        self.toxics.send_modify(|toxics| toxics.replace(&shared));
        outcome.map(|()| toxic)
    }

    pub(super) fn remove_toxic(&mut self, name: &str) -> Result<(), ApiError> {
        self.toxic(name)?;
        self.toxics.send_modify(|toxics| toxics.remove(name));
        Ok(())
    }

    pub(super) fn remove_all_toxics(&mut self) {
        self.toxics.send_replace(Toxics::default());
    }
}

fn cannot_listen(cause: &str) -> ApiError {
    ApiError::address(format!("listen tcp: {cause}"))
}

fn cannot_bind(address: SocketAddr, error: &io::Error) -> ApiError {
    let cause = match error.kind() {
        io::ErrorKind::AddrInUse => "address already in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "cannot assign requested address".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    ApiError::address(format!("listen tcp {address}: bind: {cause}"))
}
