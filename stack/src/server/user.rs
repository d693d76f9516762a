//! Whom a server runs as that refuses root.

use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::process::User;

/// `None` when we are not root: then it runs as us. Else the first of `names` that this machine knows.
pub(super) fn unprivileged(server: &str, names: &[&str]) -> Result<Option<User>, Error> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let path = Path::new("/etc/passwd");
    let users = fs::read_to_string(path).map_err(Error::file("read", path))?;
    let user = names.iter().find_map(|name| find_user(&users, name));
    user.map(Some).ok_or_else(|| {
        Error::Unavailable(format!(
            "{server} refuses root, and there is no user {} to run it",
            names.join(" or ")
        ))
    })
}

fn find_user(passwd: &str, name: &str) -> Option<User> {
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut ids = line.split(':').skip(2).map(str::parse);
    Some(User {
        uid: ids.next()?.ok()?,
        gid: ids.next()?.ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0::/root:/bin/bash\npostgres-old:x:1:1::/:/bin/sh\npostgres:x:101:104:,,,:/var:/bin/bash\n";
        assert_eq!(
            find_user(passwd, "postgres"),
            Some(User { uid: 101, gid: 104 })
        );
        assert_eq!(find_user(passwd, "nobody"), None);
    }
}
