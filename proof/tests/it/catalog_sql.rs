//! The script of causes that speaks to the catalog.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A process with an address of a catalog in its environment.
struct Service(Child);

impl Service {
    fn with(url: &str) -> Self {
        let mut command = Command::new("cat");
        command
            .stdin(Stdio::piped())
            .env("CHITRAM_CATALOG_URL", url);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It has ended if this fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_password_of_the_catalog_is_given_by_the_environment_and_on_no_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let psql = folder.path().join("psql");
    let says = "#!/bin/bash\nprintf '%s\\n' \"$PGPASSWORD\" \"$@\"\n";
    fs::write(&psql, says).unwrap();
    fs::set_permissions(&psql, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", folder.path().display());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../alerts/causes/catalog-sql");
    for (url, password, passed_on) in [
        (
            "postgres://user:secret@127.0.0.1:5432/db",
            "secret",
            "postgres://user@127.0.0.1:5432/db",
        ),
        (
            r"postgresql://a%3Ab:p%40s%2Fs%25:\t@[::1]:5432/db?sslmode=disable",
            r"p@s/s%:\t",
            "postgresql://a%3Ab@[::1]:5432/db?sslmode=disable",
        ),
        ("postgres://user@host/db", "", "postgres://user@host/db"),
    ] {
        let service = Service::with(url);
        let mut command = Command::new(&script);
        command.args([&service.0.id().to_string(), "SELECT 1"]);
        command.env("PATH", &path).env_remove("PGPASSWORD");
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let expected =
            format!("{password}\n-qtX\n-v\nON_ERROR_STOP=1\n{passed_on}\n-c\nSELECT 1\n");
        assert_eq!(said, expected);
    }
}
