//! A certificate authority and a certificate for `localhost`, made anew for each demo.
//!
//! With them the demo's connections are checked as on RDS (`verify-full`),
//! instead of being let off. Both end with the demo.

use anyhow::Result;
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder};

/// In PEM form.
pub struct Certificates {
    /// The authority's certificate.
    pub authority: Vec<u8>,
    /// The server's certificate.
    pub server: Vec<u8>,
    /// The server's private key.
    pub key: Vec<u8>,
}

/// Makes them.
pub fn make() -> Result<Certificates> {
    let authority_key = key()?;
    let mut builder = begin("execute-sql demo", &authority_key)?;
    builder.set_issuer_name(name("execute-sql demo")?.as_ref())?;
    builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    builder.append_extension(KeyUsage::new().critical().key_cert_sign().build()?)?;
    builder.sign(&authority_key, MessageDigest::sha256())?;
    let authority = builder.build();

    let server_key = key()?;
    let mut builder = begin("localhost", &server_key)?;
    builder.set_issuer_name(authority.subject_name())?;
    let context = builder.x509v3_context(Some(&authority), None);
    let names = SubjectAlternativeName::new().dns("localhost").ip("127.0.0.1").build(&context)?;
    builder.append_extension(names)?;
    builder.sign(&authority_key, MessageDigest::sha256())?;
    Ok(Certificates {
        authority: authority.to_pem()?,
        server: builder.build().to_pem()?,
        key: server_key.private_key_to_pem_pkcs8()?,
    })
}

fn key() -> Result<PKey<Private>> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    Ok(PKey::from_ec_key(EcKey::generate(&group)?)?)
}

fn name(common_name: &str) -> Result<X509Name> {
    let mut builder = X509NameBuilder::new()?;
    builder.append_entry_by_nid(Nid::COMMONNAME, common_name)?;
    Ok(builder.build())
}

/// All that both have in common; a month outlasts every `--keep`.
fn begin(common_name: &str, key: &PKey<Private>) -> Result<X509Builder> {
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(serial.to_asn1_integer()?.as_ref())?;
    builder.set_subject_name(name(common_name)?.as_ref())?;
    builder.set_not_before(Asn1Time::days_from_now(0)?.as_ref())?;
    builder.set_not_after(Asn1Time::days_from_now(30)?.as_ref())?;
    builder.set_pubkey(key)?;
    Ok(builder)
}
