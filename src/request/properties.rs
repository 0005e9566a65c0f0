//! Resource properties to [`Desired`]: every mistake found at once, each named.
//!
//! Create, Update and the command line read strictly ([`read`]). A Delete reads
//! leniently ([`read_for_delete`]), for it must not fail because of a property
//! that an older release accepted or that rotted since: what cannot be read asks
//! for nothing to be removed.

use serde_json::{Map, Value};

use super::value::{self, PropertyError, Read};
use super::{changelog, extensions, tenants};
use crate::desired::{
    Auth, Changelog, Connection, Desired, Mode, OnDelete, Policy, SslMode, TransactionMode,
};
use crate::sql::check;

/// Properties that are read, in the order of the reference.
pub const KNOWN: [&str; 20] = [
    "ServiceToken",
    "ServiceTimeout",
    "DBSecret",
    "Connection",
    "Extensions",
    "PluginsMap",
    "Changelog",
    "Tenants",
    "TenantDefaults",
    "TenantConnections",
    "OnCreate",
    "OnUpdate",
    "Mode",
    "OnDelete",
    "OnRollback",
    "TransactionMode",
    "LockTimeout",
    "StatementTimeout",
    "Date",
    "Nonce",
];

/// The words of `OnDelete`.
pub const POLICIES: [(&str, Policy); 2] = [("Retain", Policy::Retain), ("Drop", Policy::Drop)];

/// Keys of `Connection`.
pub const CONNECTION_KEYS: [&str; 9] = [
    "Host",
    "Port",
    "Database",
    "Username",
    "SslMode",
    "SslRootCert",
    "Auth",
    "ConnectTimeout",
    "WaitFor",
];

/// Reads all properties; on failure the list of all that is wrong.
pub fn read(properties: &Map<String, Value>) -> Result<Desired, Vec<PropertyError>> {
    let mut errors = Vec::new();
    for name in properties.keys() {
        errors.extend(refused_name(name));
    }
    let mut reader = Reader { properties, errors };
    let desired = reader.desired();
    match reader.errors {
        errors if errors.is_empty() => Ok(desired),
        errors => Err(errors),
    }
}

/// Reads what a Delete needs; whatever is unreadable counts as not there.
pub fn read_for_delete(properties: &Map<String, Value>) -> Desired {
    let mut reader = Reader { properties, errors: Vec::new() };
    let mut desired = reader.desired();
    if let Some(extensions) = extensions::read_for_delete(properties) {
        desired.extensions = extensions;
    } else {
        // An entry whose name is unreadable may be any of them, and may be meant to stay.
        desired.extensions.clear();
        desired.on_delete.policy = Policy::Retain;
    }
    desired.tenants = tenants::read_for_delete(properties);
    desired
}

fn refused_name(name: &str) -> Option<PropertyError> {
    let lower = name.to_lowercase();
    if lower.contains("password") {
        return Some(PropertyError(format!(
            "`{name}`: a password never travels in properties; put it into a secret and name that \
             in `DBSecret`"
        )));
    }
    let known = name == "date" || KNOWN.contains(&name);
    (!known).then(|| value::unknown("property", name, &KNOWN))
}

/// Collects errors and goes on, so that the author sees them all.
struct Reader<'a> {
    properties: &'a Map<String, Value>,
    errors: Vec<PropertyError>,
}

impl Reader<'_> {
    fn take<T>(&mut self, read: Read<T>) -> Option<T> {
        read.map_err(|error| self.errors.push(error)).ok()
    }

    /// The property, read; `None` where it is absent or wrong.
    fn property<T>(&mut self, name: &str, read: impl Fn(&str, &Value) -> Read<T>) -> Option<T> {
        let value = self.properties.get(name).filter(|value| !value.is_null())?;
        let read = read(name, value);
        self.take(read)
    }

    fn desired(&mut self) -> Desired {
        let connection = self.connection();
        let secret = self.property("DBSecret", secret_name);
        if secret.is_none()
            && connection.auth == Auth::Password
            && !self.properties.contains_key("DBSecret")
        {
            self.errors.push(PropertyError(
                "`DBSecret` is missing; name the secret with the database's login (or set \
                 `Connection.Auth` to `iam` or `none`)"
                    .into(),
            ));
        }
        self.property("OnRollback", on_rollback);
        let transaction_mode = self.property("TransactionMode", |path, value| {
            let words = [("Changeset", TransactionMode::Changeset), ("All", TransactionMode::All)];
            value::word(path, value, &words)
        });
        let modes = [("Apply", Mode::Apply), ("Plan", Mode::Plan), ("Verify", Mode::Verify)];
        let mode = self.property("Mode", |path, value| value::word(path, value, &modes));
        let second = |path: &str, value: &Value| value::seconds(path, value, 1, 3600);
        Desired {
            secret,
            connection,
            extensions: extensions::read(self.properties, &mut self.errors),
            changelog: self.changelog(),
            transaction_mode: transaction_mode.unwrap_or_default(),
            tenants: tenants::read(self.properties, &mut self.errors),
            tenant_connections: self
                .property("TenantConnections", |path, value| value::integer(path, value, 1, 32))
                .and_then(|it| u32::try_from(it).ok())
                .unwrap_or(8),
            on_create: self.property("OnCreate", statements).unwrap_or_default(),
            on_update: self.property("OnUpdate", statements).unwrap_or_default(),
            on_delete: self.property("OnDelete", on_delete).unwrap_or_default(),
            mode: mode.unwrap_or_default(),
            lock_timeout: self
                .property("LockTimeout", second)
                .unwrap_or(std::time::Duration::from_secs(10)),
            statement_timeout: self.property("StatementTimeout", second),
        }
    }

    fn changelog(&mut self) -> Option<Changelog> {
        let value = self.properties.get("Changelog").filter(|value| !value.is_null())?;
        changelog::read("Changelog", value, &mut self.errors)
    }

    fn connection(&mut self) -> Connection {
        let mut connection = Connection::default();
        let Some(map) = self.property("Connection", value::map) else { return connection };
        for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
            let path = format!("Connection.{key}");
            let read = self::connection(&mut connection, key, &path, value);
            self.take(read);
        }
        connection
    }
}

fn connection(into: &mut Connection, key: &str, path: &str, value: &Value) -> Read<()> {
    match key {
        "Host" => into.host = Some(host(path, value)?),
        "Port" => into.port = u16::try_from(value::integer(path, value, 1, 65535)?).ok(),
        "Database" => into.database = Some(value::identifier(path, value)?),
        "Username" => into.username = Some(value::identifier(path, value)?.as_str().to_owned()),
        "SslMode" => {
            let words = [
                ("verify-full", SslMode::VerifyFull),
                ("verify-ca", SslMode::VerifyCa),
                ("require", SslMode::Require),
                ("disable", SslMode::Disable),
            ];
            into.ssl_mode = value::word(path, value, &words)?;
        }
        "SslRootCert" => into.ssl_root_cert = Some(value::filled(path, value)?),
        "Auth" => {
            let words = [("password", Auth::Password), ("iam", Auth::Iam), ("none", Auth::None)];
            into.auth = value::word(path, value, &words)?;
        }
        "ConnectTimeout" => into.connect_timeout = value::seconds(path, value, 1, 300)?,
        "WaitFor" => into.wait_for = value::seconds(path, value, 0, 3600)?,
        _ if key.to_lowercase().contains("password") => {
            return Err(PropertyError(format!(
                "`{path}`: a password never travels in properties; put it into a secret and name \
                 that in `DBSecret`"
            )));
        }
        _ => return Err(value::unknown("key in `Connection`:", key, &CONNECTION_KEYS)),
    }
    Ok(())
}

/// A host name, without the parts of a URL that people paste along with it.
fn host(path: &str, value: &Value) -> Read<String> {
    let host = value::filled(path, value)?;
    if host.contains("://") || host.contains('@') || host.contains(char::is_whitespace) {
        return Err(PropertyError(format!(
            "`{path}` takes a host name alone, without scheme, user or port"
        )));
    }
    Ok(host)
}

/// Secrets Manager takes a name or an ARN; a connection string is neither, and holds a password.
fn secret_name(path: &str, value: &Value) -> Read<String> {
    let name = value::filled(path, value)?;
    if name.contains("://") || name.trim_start().starts_with('{') {
        return Err(PropertyError(format!(
            "`{path}` takes the name or ARN of a secret in Secrets Manager, not its content"
        )));
    }
    if name.len() > 2048 {
        return Err(PropertyError(format!("`{path}` is longer than 2048 bytes")));
    }
    Ok(name)
}

fn statements(path: &str, value: &Value) -> Read<Vec<String>> {
    let texts = value::texts(path, value)?;
    for (at, text) in texts.iter().enumerate() {
        check::statement(text).map_err(|why| {
            PropertyError(format!("`{path}`, statement {}: {why}; {}", at + 1, advice(&why)))
        })?;
    }
    Ok(texts)
}

fn advice(why: &check::Refused) -> &'static str {
    match why {
        check::Refused::InlinePassword => {
            "keep the password in a secret, or send a SCRAM verifier, which reveals none"
        }
        check::Refused::TransactionCommand(_) => "leave it out",
        check::Refused::ClientCopy => "write the rows as INSERT",
        check::Refused::Nul => "PostgreSQL cannot store it",
    }
}

fn on_rollback(path: &str, value: &Value) -> Read<()> {
    if value::word(path, value, &[("Keep", true), ("Revert", false)])? {
        return Ok(());
    }
    Err(PropertyError(format!("`{path}: Revert` is not supported yet")))
}

fn on_delete(path: &str, value: &Value) -> Read<OnDelete> {
    if let Value::String(text) = value {
        if !text.trim_start().starts_with('{') {
            return Ok(OnDelete { policy: value::word(path, value, &POLICIES)?, sql: Vec::new() });
        }
    }
    let mut on_delete = OnDelete::default();
    for (key, value) in value::map(path, value)? {
        let path = format!("{path}.{key}");
        match key.as_str() {
            "Policy" => on_delete.policy = value::word(&path, &value, &POLICIES)?,
            "Sql" => on_delete.sql = statements(&path, &value)?,
            _ => return Err(value::unknown("key in `OnDelete`:", &key, &["Policy", "Sql"])),
        }
    }
    Ok(on_delete)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::Version;
    use proptest::prelude::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    fn messages(value: Value) -> String {
        let errors = read(&map(value)).unwrap_err();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_published_example_reads() {
        let desired = read(&map(json!({
            "ServiceToken": "arn:aws:lambda:eu-west-2:1:function:f",
            "DBSecret": "demo",
            "PluginsMap": {"PostGIS": "3.0.3", "pgcrypto": "1.3"},
        })))
        .unwrap();
        let names: Vec<_> = desired.extensions.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["postgis", "pgcrypto"]);
        assert_eq!(desired.extensions[0].version, Version::Exact("3.0.3".into()));
        assert!(!desired.acts_on_delete());
    }

    #[test]
    fn all_mistakes_are_named_at_once() {
        insta::assert_snapshot!(messages(json!({
            "Extentions": [],
            "MasterPassword": "x",
            "Connection": {"Prot": 1, "Port": "x", "Host": "postgres://a:b@c/d"},
            "Tenants": [{"Name": "a"}],
            "TenantConnections": 33,
            "Mode": "Dry",
            "OnCreate": ["ALTER ROLE a PASSWORD 'x'"],
            "OnDelete": {"Police": "Drop"},
        })), @"
        unknown property `Extentions`; did you mean `Extensions`?
        `MasterPassword`: a password never travels in properties; put it into a secret and name that in `DBSecret`
        `Connection.Host` takes a host name alone, without scheme, user or port
        `Connection.Port` is `x`; it takes a whole number from 1 to 65535
        unknown key in `Connection`: `Prot`; did you mean `Port`?
        `DBSecret` is missing; name the secret with the database's login (or set `Connection.Auth` to `iam` or `none`)
        `Mode` is `Dry`; it takes `Apply` or `Plan` or `Verify`
        `Tenants[0].Name` is `a`: it is 1 long; it takes 2 to 50 lower-case letters, digits and `_`, and a letter first
        `TenantConnections` is `33`; it takes a whole number from 1 to 32
        `OnCreate`, statement 1: it holds a password in clear text; keep the password in a secret, or send a SCRAM verifier, which reveals none
        unknown key in `OnDelete`: `Police`; did you mean `Policy`?
        ");
    }

    #[test]
    fn a_delete_reads_what_it_can() {
        let desired = read_for_delete(&map(json!({
            "Colour": "blue", "OnDelete": "Explode", "Extensions": 7, "DBSecret": {"Ref": "x"},
        })));
        assert!(!desired.acts_on_delete());
        let changelog = json!({"Changelog": {"Pat": 7}, "OnDelete": "Drop"});
        assert_eq!(read_for_delete(&map(changelog)).changelog, None);
        let drop = read_for_delete(&map(json!({"OnDelete": "Drop", "Connection": {"Port": "x"}})));
        assert!(drop.acts_on_delete());
        let policy = |entry: Value| {
            let properties = map(json!({"OnDelete": "Drop", "Extensions": [entry]}));
            let desired = read_for_delete(&properties);
            desired
                .extensions
                .first()
                .and_then(|it| it.on_delete)
                .unwrap_or(desired.on_delete.policy)
        };
        assert_eq!(policy(json!("hstore")), Policy::Drop);
        for entry in [
            json!({"Name": "hstore", "OnDelete": "Retain", "NewKey": "x"}),
            json!({"Name": "hstore", "OnDelete": "Archive"}),
            json!({"Name": {"Ref": "x"}, "OnDelete": "Drop"}),
        ] {
            assert_eq!(policy(entry.clone()), Policy::Retain, "{entry}");
        }
        let one_unreadable = map(json!({
            "OnDelete": "Drop", "Extensions": [{"Name": "a", "OnDelete": "Drop"}, {"Name": 7.5e300}, {}],
        }));
        assert!(!read_for_delete(&one_unreadable).acts_on_delete());
    }

    #[test]
    fn a_resource_that_only_looks_removes_nothing() {
        let properties = json!({"DBSecret": "s", "OnDelete": "Drop", "Mode": "Verify"});
        assert!(!read(&map(properties)).unwrap().acts_on_delete());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,80}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(".{0,12}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn random_properties_are_read_or_refused_in_words(
            known in prop::collection::hash_map(prop::sample::select(KNOWN.to_vec()), any_json(), 0..6),
            unknown in prop::collection::hash_map(".{0,20}", any_json(), 0..3),
        ) {
            let known = known.into_iter().map(|(name, value)| (name.to_owned(), value));
            let properties: Map<_, _> = known.chain(unknown).collect();
            if let Err(errors) = read(&properties) {
                prop_assert!(errors.iter().all(|error| !error.0.is_empty()));
            }
            read_for_delete(&properties);
        }
    }
}
