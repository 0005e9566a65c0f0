//! A test CA and the server certificates it signs, one good and two bad ones.
//!
//! Written once per run into a folder that the server's user can read. The keys are EC keys: they
//! are made in a millisecond, RSA keys are not. A second CA, which signed nothing, serves tests of
//! a server that is not trusted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use openssl::x509::extension::{SubjectAlternativeName, SubjectKeyIdentifier};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder};

/// Which certificate a server shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Certificate {
    /// For `localhost` and 127.0.0.1, signed by the test CA, valid now.
    #[default]
    Right,
    /// Signed and valid, but for another host.
    WrongName,
    /// For the right host, but it ended yesterday.
    Expired,
}

const ALL: [Certificate; 3] = [Certificate::Right, Certificate::WrongName, Certificate::Expired];
const DAY: i64 = 24 * 60 * 60;

impl Certificate {
    fn name(self) -> &'static str {
        match self {
            Certificate::Right => "right",
            Certificate::WrongName => "wrong-name",
            Certificate::Expired => "expired",
        }
    }

    pub fn cert_path(self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.crt", self.name()))
    }

    pub fn key_path(self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.key", self.name()))
    }
}

/// The CA that signed the servers' certificates.
pub fn ca_path(folder: &Path) -> PathBuf {
    folder.join("ca.pem")
}

/// A CA that signed nothing here.
pub fn other_ca_path(folder: &Path) -> PathBuf {
    folder.join("other-ca.pem")
}

/// Writes everything into `folder`, which exists.
pub fn write(folder: &Path) {
    let (ca, ca_key) = authority("execute-sql test CA");
    let (other, _) = authority("execute-sql other CA");
    fs::write(ca_path(folder), ca.to_pem().unwrap()).expect("write the test CA");
    fs::write(other_ca_path(folder), other.to_pem().unwrap()).expect("write the other CA");
    for certificate in ALL {
        let (cert, key) = server(certificate, &ca, &ca_key);
        fs::write(certificate.cert_path(folder), cert.to_pem().unwrap()).expect("write a cert");
        let path = certificate.key_path(folder);
        fs::write(&path, key.private_key_to_pem_pkcs8().unwrap()).expect("write a key");
        // PostgreSQL refuses a key that others can read.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod a key");
    }
}

fn authority(name: &str) -> (X509, PKey<Private>) {
    let key = new_key();
    let subject = common_name(name);
    let mut builder = started(&subject, &subject, &key, -DAY, 3650 * DAY);
    builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    let usage = KeyUsage::new().critical().key_cert_sign().crl_sign().build().unwrap();
    builder.append_extension(usage).unwrap();
    let id = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None)).unwrap();
    builder.append_extension(id).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}

fn server(certificate: Certificate, ca: &X509, ca_key: &PKey<Private>) -> (X509, PKey<Private>) {
    let key = new_key();
    let (from, to) = match certificate {
        Certificate::Expired => (-30 * DAY, -DAY),
        _ => (-DAY, 365 * DAY),
    };
    let mut names = SubjectAlternativeName::new();
    let subject = if certificate == Certificate::WrongName {
        names.dns("wrong.example.com");
        "wrong.example.com"
    } else {
        names.dns("localhost").ip("127.0.0.1");
        "localhost"
    };
    let mut builder = started(&common_name(subject), ca.subject_name(), &key, from, to);
    builder.append_extension(BasicConstraints::new().build().unwrap()).unwrap();
    builder.append_extension(ExtendedKeyUsage::new().server_auth().build().unwrap()).unwrap();
    let names = names.build(&builder.x509v3_context(Some(ca), None)).unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(ca_key, MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}

/// A builder with all but extensions and signature; times are seconds from now.
fn started(
    subject: &X509Name,
    issuer: &openssl::x509::X509NameRef,
    key: &PKey<Private>,
    from: i64,
    to: i64,
) -> X509Builder {
    let now = std::time::UNIX_EPOCH.elapsed().expect("the clock is past 1970").as_secs();
    let now = i64::try_from(now).expect("the clock is before the year 292277026596");
    let mut serial = BigNum::new().unwrap();
    serial.rand(120, MsbOption::MAYBE_ZERO, false).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(subject).unwrap();
    builder.set_issuer_name(issuer).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(now + from).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(now + to).unwrap()).unwrap();
    builder
}

fn common_name(name: &str) -> X509Name {
    let mut builder = X509NameBuilder::new().unwrap();
    builder.append_entry_by_text("CN", name).unwrap();
    builder.build()
}

fn new_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}
