//! The image service: upload, list, metadata, content, render, delete.
//!
//! A map of the modules, from the outside in:
//! `app` builds and runs a whole service; `api` answers HTTP; `catalog` is the truth about images and jobs; `store` holds
//! the bytes; `renders` is the pool of CPU threads; `jobs` is the worker; `resilience` keeps a sick dependency from
//! making the service sick; `config` is everything that can be set; `telemetry` is every metric that is declared here.
#![forbid(unsafe_code)]

pub mod api;
pub mod app;
pub mod catalog;
pub mod config;
pub mod domain;
pub mod exit;
pub mod jobs;
pub mod renders;
pub mod resilience;
pub mod spool;
pub mod store;
pub mod telemetry;

use observability::{Registry, Service};

/// Who speaks in this service's telemetry.
pub fn identity(environment: &str) -> Service {
    Service {
        name: "chitram",
        version: env!("CARGO_PKG_VERSION"),
        revision: option_env!("CHITRAM_REVISION"),
        environment: environment.to_owned(),
    }
}

/// Brings the catalog's schema up to date.
pub async fn migrate(config: &config::Config) -> Result<(), catalog::CatalogError> {
    let options = catalog::Options {
        application_name: "chitram-migrate".to_owned(),
        migrate: true,
        deadline: None,
    };
    let registry = Registry::new(&identity(&config.telemetry.environment));
    catalog::open(&config.catalog.url, &options, &registry)
        .await
        .map(drop)
}
