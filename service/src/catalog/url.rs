//! Where the catalog is.

use std::{fmt, path::PathBuf, str::FromStr};

use secrecy::{ExposeSecret as _, SecretString};

/// `sqlite://PATH` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. Prints without the password.
#[derive(Debug, Clone)]
pub enum CatalogUrl {
    /// A file of this machine; its folder is made when it is missing.
    Sqlite(PathBuf),
    /// A server.
    Postgres(SecretString),
}

/// A text is no catalog's URL.
#[derive(Debug, thiserror::Error)]
#[error("{0}; give sqlite://PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
pub struct BadUrl(&'static str);

impl FromStr for CatalogUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err(BadUrl("the catalog's URL names no file")),
                ":memory:" => Err(BadUrl(
                    "a catalog in memory would be a different one for each connection",
                )),
                path if path.contains('?') => Err(BadUrl("the catalog's URL takes no parameters")),
                path => Ok(Self::Sqlite(PathBuf::from(path))),
            };
        }
        let url = url::Url::parse(text).map_err(|_| BadUrl("the catalog's URL is no URL"))?;
        match url.scheme() {
            "postgres" | "postgresql" if url.host().is_some() => {
                Ok(Self::Postgres(text.to_owned().into()))
            }
            "postgres" | "postgresql" => Err(BadUrl("the catalog's URL names no host")),
            _ => Err(BadUrl(
                "the catalog's URL is for no database that is known here",
            )),
        }
    }
}

impl fmt::Display for CatalogUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => match url::Url::parse(url.expose_secret()) {
                Ok(mut url) => {
                    // Fails only for URLs without a host, which cannot have a password either.
                    let _ = url.set_password(None);
                    url.set_query(None);
                    write!(f, "{url}")
                }
                Err(_) => f.write_str("postgres://?"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_printed_url_shows_no_password() {
        let url: CatalogUrl = "postgres://me:secret@db.example:5433/chitram?password=other"
            .parse()
            .expect("valid");
        assert_eq!(url.to_string(), "postgres://me@db.example:5433/chitram");
        assert!(!format!("{url:?}").contains("secret"));
    }

    #[test]
    fn a_relative_path_is_a_sqlite_file() {
        let url: CatalogUrl = "sqlite://.chitram/catalog.db".parse().expect("valid");
        assert!(
            matches!(url, CatalogUrl::Sqlite(path) if path == Path::new(".chitram/catalog.db"))
        );
    }

    #[test]
    fn a_url_that_names_no_catalog_is_refused_and_says_what_to_give() {
        for text in [
            "",
            "sqlite:",
            "sqlite://:memory:",
            "sqlite://a.db?mode=ro",
            "mysql://host/db",
            "postgres:db",
            "catalog.db",
        ] {
            let refused = text.parse::<CatalogUrl>().expect_err(text);
            assert!(
                refused.to_string().contains("give sqlite://PATH"),
                "{refused}"
            );
        }
    }
}
