//! From what a tenant and the defaults say to a whole [`Tenant`].
//!
//! The tenant's word goes before that of the defaults, key by key; so does its choice
//! between keys that exclude each other, such as `Database` and `Schema`. What neither
//! says has the default of the reference. Names become whole here and are checked; that
//! no other tenant has them is [`super::collisions`]'s.

use super::super::value::PropertyError;
use super::given::{self, Given, SEARCH_PATH};
use super::names::{self, Kind};
use super::parts::GivenRole;
use super::pattern::{Pattern, Words};
use super::secret;
use crate::desired::tenant::{Place, Role, Rotation, Secret, Strategy, Tenant};
use crate::ident::Identifier;

/// `SecretPrefix` where none is given.
pub const PREFIX: &str = "execute-sql";

const CONNECTION_LIMIT: u32 = 50;

/// Secrets Manager allows 50, and the product has some of its own.
const MOST_TAGS: usize = 40;

/// The whole tenant, as far as its names can be told; what is wrong goes to `errors`.
pub fn complete(
    at: &str,
    own: &Given,
    defaults: &Given,
    errors: &mut Vec<PropertyError>,
) -> Option<Tenant> {
    let name = own.name.clone()?;
    let mut words = Words {
        name: &name,
        username: "",
        prefix: defaults.prefix.as_deref().unwrap_or(PREFIX),
        environment: defaults.environment.as_deref().unwrap_or_default(),
    };
    let username = match own.username.as_ref().or(defaults.username.as_ref()) {
        Some(pattern) => pattern.fill(&words),
        None => format!("{name}_user"),
    };
    words.username = &username;
    let mut tenant = Completion { at, own, defaults, words, errors };
    let place = tenant.place();
    let (iam_auth, rotation) = tenant.login_method();
    let kind = match &rotation {
        Some(it) if it.strategy == Strategy::Alternating => Kind::AlternatingRole,
        _ => Kind::Role,
    };
    let role = tenant.object("Username", &username, kind);
    let secret = tenant.secret();
    let roles = tenant.roles(kind, secret.as_ref());
    let settings = tenant.settings(place.as_ref());
    let tags = tenant.tags();
    let either = Either { own, defaults };
    Some(Tenant {
        place: place?,
        username: role?,
        owner: either.of(|it| it.owner.as_ref()).unwrap_or_default(),
        secret: secret?,
        connection_limit: either.of(|it| it.connection_limit.as_ref()).unwrap_or(CONNECTION_LIMIT),
        roles,
        extensions: either.of(|it| it.extensions.as_ref()).unwrap_or_default(),
        changelog: either.of(|it| it.changelog.as_ref()),
        rotation,
        iam_auth,
        on_remove: either.of(|it| it.on_remove.as_ref()).unwrap_or_default(),
        adopt: either.of(|it| it.adopt.as_ref()).unwrap_or_default(),
        tags,
        kms_key_id: either.of(|it| it.kms_key_id.as_ref()),
        settings,
        locale: either.of(|it| it.locale.as_ref()),
        template: either
            .of(|it| it.template.as_ref())
            .unwrap_or_else(|| Identifier::new("template0").expect("it is a short word")),
        name,
    })
}

/// One key of two maps.
struct Either<'a> {
    own: &'a Given,
    defaults: &'a Given,
}

impl Either<'_> {
    fn of<T: Clone>(&self, key: impl Fn(&Given) -> Option<&T>) -> Option<T> {
        key(self.own).or_else(|| key(self.defaults)).cloned()
    }
}

struct Completion<'a> {
    at: &'a str,
    own: &'a Given,
    defaults: &'a Given,
    words: Words<'a>,
    errors: &'a mut Vec<PropertyError>,
}

/// Two keys of which a tenant has at most one.
enum Choice<'a> {
    First(&'a Pattern),
    Second(&'a Pattern),
    Neither,
}

/// Whichever of two keys the tenant has, else whichever the defaults have.
fn choice<'a>(
    own: (Option<&'a Pattern>, Option<&'a Pattern>),
    defaults: (Option<&'a Pattern>, Option<&'a Pattern>),
) -> Choice<'a> {
    let given = if own.0.is_some() || own.1.is_some() { own } else { defaults };
    match given {
        (Some(first), _) => Choice::First(first),
        (None, Some(second)) => Choice::Second(second),
        (None, None) => Choice::Neither,
    }
}

impl Completion<'_> {
    fn refuse(&mut self, why: String) {
        self.errors.push(PropertyError(why));
    }

    fn object(&mut self, key: &str, text: &str, kind: Kind) -> Option<Identifier> {
        let made = names::made(&format!("{}.{key}", self.at), text, kind);
        made.map_err(|error| self.errors.push(error)).ok()
    }

    fn place(&mut self) -> Option<Place> {
        let choice = choice(
            (self.own.database.as_ref(), self.own.schema.as_ref()),
            (self.defaults.database.as_ref(), self.defaults.schema.as_ref()),
        );
        let pattern = match choice {
            Choice::First(pattern) => {
                let text = pattern.fill(&self.words);
                return self.object("Database", &text, Kind::Database).map(Place::Database);
            }
            Choice::Neither => {
                let name = self.words.name;
                return self.object("Database", name, Kind::Database).map(Place::Database);
            }
            Choice::Second(pattern) => pattern,
        };
        let text = pattern.fill(&self.words);
        let schema = self.object("Schema", &text, Kind::Schema);
        self.check_schema();
        schema.map(Place::Schema)
    }

    /// What one map says for itself is checked already; here it is the two together.
    fn check_schema(&mut self) {
        let (at, own, defaults) = (self.at, self.own, self.defaults);
        if own.schema.is_none() {
            for key in own.database_keys() {
                self.refuse(given::for_a_database(at, key));
            }
            if own.settings.contains_key(SEARCH_PATH) {
                self.refuse(given::search_path(at));
            }
        }
        let given = |it: &Given| it.extensions.as_ref().map(|it| !it.is_empty());
        let from_own = given(own) == Some(true) && own.schema.is_none();
        let from_defaults =
            given(own).is_none() && given(defaults) == Some(true) && defaults.schema.is_none();
        if from_own {
            self.refuse(given::extensions_of_a_schema(at));
        } else if from_defaults {
            self.refuse(format!(
                "{}; those of `TenantDefaults` are turned off by an empty list",
                given::extensions_of_a_schema(at)
            ));
        }
    }

    /// Whether tokens are used instead of passwords, and how passwords rotate.
    fn login_method(&mut self) -> (bool, Option<Rotation>) {
        let (own, defaults) = (self.own, self.defaults);
        let iam_auth = own.iam_auth.or(defaults.iam_auth).unwrap_or_default();
        let given = own.rotation.as_ref().or(defaults.rotation.as_ref());
        let rotation = given.cloned().flatten();
        if !iam_auth || rotation.is_none() {
            return (iam_auth, rotation);
        }
        let own_rotation = matches!(own.rotation, Some(Some(_)));
        if own_rotation && own.iam_auth.is_none() {
            let at = self.at;
            self.refuse(given::no_rotation(at));
        }
        // A rotation of the defaults is for those tenants that have a password.
        (iam_auth, None)
    }

    fn default_secret(&self) -> String {
        let Words { name, prefix, environment, .. } = self.words;
        if environment.is_empty() {
            format!("/{prefix}/db/{name}")
        } else {
            format!("/{prefix}/{environment}/db/{name}")
        }
    }

    fn secret(&mut self) -> Option<Secret> {
        let choice = choice(
            (self.own.secret.as_ref(), self.own.secret_name.as_ref()),
            (self.defaults.secret.as_ref(), self.defaults.secret_name.as_ref()),
        );
        let otherwise = self.default_secret();
        self.secret_of("", choice, otherwise)
    }

    fn secret_of(&mut self, of: &str, choice: Choice<'_>, otherwise: String) -> Option<Secret> {
        let at = self.at;
        let made =
            |text: &str| secret::name(&format!("{at}{of}.SecretName"), text).map(Secret::Made);
        let secret = match choice {
            Choice::First(pattern) => {
                let text = pattern.fill(&self.words);
                secret::id(&format!("{at}{of}.Secret"), &text).map(Secret::Given)
            }
            Choice::Second(pattern) => made(&pattern.fill(&self.words)),
            Choice::Neither => made(&otherwise),
        };
        secret.map_err(|error| self.errors.push(error)).ok()
    }

    fn roles(&mut self, kind: Kind, secret: Option<&Secret>) -> Vec<Role> {
        let given = self.own.roles.as_ref().or(self.defaults.roles.as_ref());
        let base = match secret {
            Some(Secret::Made(name)) => name.clone(),
            _ => self.default_secret(),
        };
        let roles = given.into_iter().flatten().enumerate();
        roles.filter_map(|(at, it)| self.role(&format!(".Roles[{at}]"), it, kind, &base)).collect()
    }

    fn role(&mut self, of: &str, given: &GivenRole, kind: Kind, base: &str) -> Option<Role> {
        let text = given.name.fill(&self.words);
        let name = self.object(&format!("{}.Name", &of[1..]), &text, kind)?;
        let own = (given.secret.as_ref(), given.secret_name.as_ref());
        let secret = self.secret_of(of, choice(own, (None, None)), format!("{base}/{name}"))?;
        Some(Role { name, access: given.access, secret })
    }

    fn settings(&self, place: Option<&Place>) -> std::collections::BTreeMap<String, String> {
        let mut settings = self.defaults.settings.clone();
        if matches!(place, Some(Place::Schema(_))) {
            // Only a database has a use for this default.
            settings.remove(SEARCH_PATH);
        }
        settings.extend(self.own.settings.clone());
        settings
    }

    fn tags(&mut self) -> std::collections::BTreeMap<String, String> {
        let mut tags = self.defaults.tags.clone();
        tags.extend(self.own.tags.clone());
        if tags.len() > MOST_TAGS {
            let (at, count) = (self.at, tags.len());
            self.refuse(format!(
                "`{at}.Tags` are {count} with those of the defaults; it takes {MOST_TAGS}"
            ));
        }
        tags
    }
}
