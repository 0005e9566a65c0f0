//! What stays of a tenant that leaves, and why.

use std::fmt;

use crate::observed::tenant::HeldKind;

/// An object that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// What it is.
    pub kind: HeldKind,
    /// Its name; of a secret its ARN.
    pub name: String,
    /// Why it stays.
    pub why: Why,
}

/// Why an object stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It was there before this resource.
    Adopted,
    /// There is another object of the same name now.
    Replaced,
    /// Its comment names another physical id.
    MarkedBy(String),
    /// Its comment names a later physical id of this resource.
    StillHad,
    /// A role that is not the tenant's owns it.
    OwnedBy(String),
    /// Somebody else has objects in it.
    HasObjectsOf(String),
    /// So many sessions are on it, or are its own.
    Sessions(u32),
    /// A secret whose tags name another resource.
    TaggedByAnother,
    /// A secret that is the login of a role that stays, and whether that is so in every later run.
    LoginOf(String, bool),
    /// Its end was refused; the server's own words.
    Refused(String),
}

impl Why {
    /// Whether it will be so in every later run.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Adopted
            | Self::Replaced
            | Self::MarkedBy(_)
            | Self::TaggedByAnother
            | Self::LoginOf(_, true) => true,
            Self::StillHad
            | Self::OwnedBy(_)
            | Self::HasObjectsOf(_)
            | Self::Sessions(_)
            | Self::LoginOf(_, false)
            | Self::Refused(_) => false,
        }
    }
}

/// Why the secrets of a tenant stay with roles that stay.
pub fn keeps_logins(left: &[Left]) -> Option<Why> {
    let roles = left.iter().filter(|it| it.kind == HeldKind::Role);
    // One that stays for good goes before one that a later run drops.
    let role = roles.max_by_key(|it| it.why.is_final())?;
    Some(Why::LoginOf(role.name.clone(), role.why.is_final()))
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.kind.as_str(), self.name)?;
        let place = if self.kind == HeldKind::Role { "open" } else { "on it" };
        match &self.why {
            Why::Adopted => f.write_str("it was there before this resource"),
            Why::Replaced => f.write_str("it is another one than the one this resource made"),
            Why::MarkedBy(id) => write!(f, "its comment says that `{id}` has it"),
            Why::StillHad => f.write_str("this resource still has it"),
            Why::OwnedBy(role) => write!(f, "it belongs to role `{role}`"),
            Why::HasObjectsOf(role) => write!(f, "it holds objects of role `{role}`"),
            Why::Sessions(1) => write!(f, "1 session is {place}"),
            Why::Sessions(count) => write!(f, "{count} sessions are {place}"),
            Why::TaggedByAnother => f.write_str("its tags do not name this resource"),
            Why::LoginOf(role, _) => write!(f, "it is the login of role `{role}`, which stays"),
            Why::Refused(why) => f.write_str(why),
        }
    }
}
