//! The server that is named by hand: `--database-url`, or libpq's variables.
//!
//! libpq's `sslmode` words are kept, but for those that may end unencrypted
//! (`allow`, `prefer`). Without one the certificate is checked in full, as
//! everywhere in this program.

use anyhow::{Context, Result, bail};
use percent_encoding::percent_decode_str;
use secrecy::SecretString;

use crate::desired::SslMode;
use crate::redact::remember;
use crate::secrets::Login;

/// A server given by hand.
pub struct Given {
    /// Host, port, database, role and password.
    pub login: Login,
    /// `sslmode`.
    pub ssl_mode: Option<SslMode>,
    /// `sslrootcert`.
    pub ssl_root_cert: Option<String>,
    /// Where it was given, for messages.
    pub by: &'static str,
}

/// The server given by hand, if one is.
pub fn given(url: Option<&str>) -> Result<Option<Given>> {
    if let Some(url) = url {
        return from_url(url).context("reading --database-url").map(Some);
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|it| !it.is_empty());
    let Some(host) = variable("PGHOST") else { return Ok(None) };
    let port = variable("PGPORT").map(|it| it.parse()).transpose().context("reading PGPORT")?;
    let user = variable("PGUSER").or_else(|| variable("USER"));
    let given = Given {
        login: Login {
            host: Some(host),
            port,
            database: variable("PGDATABASE").or_else(|| user.clone()),
            username: user,
            password: variable("PGPASSWORD").map(SecretString::from),
            ..Login::default()
        },
        ssl_mode: variable("PGSSLMODE").map(|it| ssl_mode(&it)).transpose()?,
        ssl_root_cert: variable("PGSSLROOTCERT"),
        by: "PGHOST",
    };
    Ok(Some(known(given)))
}

fn from_url(text: &str) -> Result<Given> {
    // The text is not repeated in an error: it may hold the password.
    let url: reqwest::Url = text.parse().map_err(|_| {
        anyhow::anyhow!("it is no URL of the form postgresql://user@host:port/database")
    })?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        bail!("its scheme is `{}`; it takes postgresql://", url.scheme());
    }
    let decoded = |it: &str| match percent_decode_str(it).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => bail!("a % escape in it is no UTF-8"),
    };
    let mut given = Given {
        login: Login {
            host: url.host_str().map(|it| it.trim_matches(['[', ']']).to_owned()),
            port: url.port(),
            username: Some(decoded(url.username())?).filter(|it| !it.is_empty()),
            password: url.password().map(decoded).transpose()?.map(SecretString::from),
            database: Some(decoded(url.path().trim_start_matches('/'))?)
                .filter(|it| !it.is_empty()),
            ..Login::default()
        },
        ssl_mode: None,
        ssl_root_cert: None,
        by: "--database-url",
    };
    for (name, value) in url.query_pairs() {
        match name.as_ref() {
            "sslmode" => given.ssl_mode = Some(ssl_mode(&value)?),
            "sslrootcert" => given.ssl_root_cert = Some(value.into_owned()),
            "host" => given.login.host = Some(value.into_owned()),
            "user" => given.login.username = Some(value.into_owned()),
            "password" => given.login.password = Some(value.into_owned().into()),
            other => bail!(
                "its parameter `{other}` is not known; known are sslmode, sslrootcert, host, user, password"
            ),
        }
    }
    Ok(known(given))
}

fn known(given: Given) -> Given {
    if let Some(password) = &given.login.password {
        remember(password);
    }
    given
}

fn ssl_mode(word: &str) -> Result<SslMode> {
    Ok(match word {
        "verify-full" => SslMode::VerifyFull,
        "verify-ca" => SslMode::VerifyCa,
        "require" => SslMode::Require,
        "disable" => SslMode::Disable,
        other => bail!(
            "sslmode `{other}` is not taken; use verify-full, verify-ca, require or disable, which \
             each mean one thing"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_url_reads_like_libpqs() {
        let url = "postgresql://ann%40x:p%2Fw@db.example.org:5433/app?sslmode=verify-ca&sslrootcert=/ca.pem";
        let given = from_url(url).unwrap();
        assert_eq!(given.login.username.as_deref(), Some("ann@x"));
        assert_eq!(given.login.password.unwrap().expose_secret(), "p/w");
        assert_eq!(
            (given.login.host.as_deref(), given.login.port),
            (Some("db.example.org"), Some(5433))
        );
        assert_eq!(given.ssl_mode, Some(SslMode::VerifyCa));
    }

    #[test]
    fn a_broken_url_is_refused_without_repeating_it() {
        for url in ["hunter2", "mysql://a:hunter2@b/c", "postgres://a:%ffhunter2@b/c"] {
            let error = format!("{:#}", from_url(url).err().unwrap());
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = from_url("postgres://h/d?sslmode=prefer").err().unwrap().to_string();
        assert!(error.contains("sslmode `prefer` is not taken"), "{error}");
    }
}
