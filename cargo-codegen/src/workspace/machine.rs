//! What the machine in hand has that a workspace needs.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use url::Url;

use super::discover::clean_environment;

/// How long a database server may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the machine in hand has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// What `rustfmt --version` says.
    pub rustfmt: Option<String>,
    /// The version of sea-orm-cli.
    pub sea_orm_cli: Option<String>,
    /// What `DATABASE_URL` leads to.
    pub database: DatabaseLook,
}

/// What `DATABASE_URL` leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseLook {
    /// Neither the environment nor `.env` has one.
    Unset,
    /// It is no URL.
    NoUrl,
    /// A file of SQLite.
    File {
        /// From the workspace root, or absolute.
        path: Utf8PathBuf,
        /// It is there.
        exists: bool,
    },
    /// A database of SQLite without a file.
    Memory,
    /// A server.
    Server {
        /// `postgres` or `mysql`, as the URL says it.
        scheme: String,
        /// Host and port.
        address: String,
        /// Somebody listens there.
        answers: bool,
    },
}

/// Looks around; starts `rustfmt` and `sea-orm-cli`, and knocks at the database server's port.
pub fn machine(root: &Utf8Path) -> Machine {
    let cli = version(root, "sea-orm-cli").and_then(|it| {
        let words = it.split_whitespace();
        words.last().map(str::to_owned)
    });
    Machine {
        rustfmt: version(root, "rustfmt"),
        sea_orm_cli: cli,
        database: database_url(root).map_or(DatabaseLook::Unset, |it| look(root, &it)),
    }
}

/// In the workspace, whose `rust-toolchain.toml` may say which is meant.
fn version(root: &Utf8Path, program: &str) -> Option<String> {
    let mut command = Command::new(program);
    clean_environment(&mut command);
    let output = command
        .arg("--version")
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .ok()
        .filter(|it| it.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().map(|it| it.trim().to_owned())
}

/// As the app finds it: what the shell sets wins over `.env`.
fn database_url(root: &Utf8Path) -> Option<String> {
    if let Ok(url) = std::env::var("DATABASE_URL") {
        return Some(url);
    }
    let text = fs_err::read_to_string(root.join(".env")).ok()?;
    text.lines()
        .filter_map(|it| it.trim().strip_prefix("DATABASE_URL="))
        .next_back()
        .map(|it| it.trim_matches(['"', '\'']).to_owned())
}

fn look(root: &Utf8Path, text: &str) -> DatabaseLook {
    if let Some(file) = text.strip_prefix("sqlite:") {
        let file = file.strip_prefix("//").unwrap_or(file);
        let file = file.split('?').next().unwrap_or(file);
        if file == ":memory:" || file.is_empty() {
            return DatabaseLook::Memory;
        }
        return DatabaseLook::File {
            exists: root.join(file).is_file(),
            path: file.into(),
        };
    }
    let Ok(url) = Url::parse(text) else {
        return DatabaseLook::NoUrl;
    };
    let (Some(host), scheme) = (url.host_str(), url.scheme()) else {
        return DatabaseLook::NoUrl;
    };
    let port = url.port().unwrap_or(match scheme {
        "mysql" | "mariadb" => 3306,
        _ => 5432,
    });
    let address = format!("{host}:{port}");
    DatabaseLook::Server {
        answers: answers(&address),
        scheme: scheme.to_owned(),
        address,
    }
}

fn answers(address: &str) -> bool {
    let Ok(mut found) = address.to_socket_addrs() else {
        return false;
    };
    found.any(|it| TcpStream::connect_timeout(&it, PATIENCE).is_ok())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_database_is_looked_for_where_its_url_leads() {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap();
        let file = |exists| DatabaseLook::File {
            path: "shop.db".into(),
            exists,
        };
        assert_eq!(look(root, "sqlite://shop.db?mode=rwc"), file(false));
        fs_err::write(root.join("shop.db"), "").unwrap();
        assert_eq!(look(root, "sqlite:shop.db"), file(true));
        assert_eq!(look(root, "sqlite::memory:"), DatabaseLook::Memory);
        assert_eq!(look(root, "shop"), DatabaseLook::NoUrl);

        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap().to_string();
        let url = format!("postgres://me:secret@{address}/shop");
        let seen = |answers| DatabaseLook::Server {
            scheme: "postgres".to_owned(),
            address: address.clone(),
            answers,
        };
        assert_eq!(look(root, &url), seen(true));
        drop(server);
        assert_eq!(look(root, &url), seen(false));
    }
}
