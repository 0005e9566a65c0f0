//! What S3 says when it gives no object, told apart by status and code.
//!
//! S3 hides a missing key behind 403 from who may not list the bucket, and answers 403
//! for a KMS key as well; so the advice for a refusal names all that it may mean. Of
//! S3's own words only those are kept that name a missing permission: others repeat
//! parts of the signed request.

use std::fmt;

/// Why an object was not to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// `NoSuchKey`.
    NoObject,
    /// `NoSuchBucket`.
    NoBucket,
    /// `NoSuchVersion`, or no id of a version.
    NoVersion,
    /// The version that was asked for, or the newest, is the mark of a deletion.
    Deleted,
    /// 403; what S3 says of the permission, where it says anything.
    Denied(Option<String>),
    /// Its key in KMS may not be used, or is not usable.
    Key(String),
    /// It lies in an archive.
    Archived,
    /// It is encrypted with a key that its owner keeps.
    CustomerKey,
    /// There are no credentials, or S3 does not take them.
    Credentials(String),
    /// The bucket is in another region.
    Region(String),
    /// It is larger than the limit, in bytes.
    TooLarge(u64),
    /// The request cannot be made.
    Request(&'static str),
    /// The certificate of what answered is not to be trusted.
    Untrusted(String),
    /// Another answer that no later try would change.
    Refused(u16, String),
    /// No answer, or one that says to come back.
    Unavailable(String),
}

/// An answer that is no object.
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// `x-amz-bucket-region`.
    pub region: Option<&'a str>,
    /// `x-amz-delete-marker: true`.
    pub deleted: bool,
    /// The region that was asked.
    pub asked: &'a str,
    /// Its text: XML, or nothing.
    pub body: &'a str,
}

impl Fault {
    /// Reads an answer.
    pub fn of(answer: &Answer<'_>) -> Self {
        let (code, message, region) = fields(answer.body);
        let region = answer.region.map(str::to_owned).or(region);
        if let Some(region) = region.filter(|it| it != answer.asked) {
            if matches!(answer.status, 301 | 307 | 308 | 400 | 403) && is_region(&region) {
                return Self::Region(region);
            }
        }
        match (answer.status, code.as_str()) {
            (404 | 405, _) if answer.deleted => Self::Deleted,
            (_, "NoSuchBucket") => Self::NoBucket,
            (_, "NoSuchVersion") => Self::NoVersion,
            (400, "InvalidArgument") if message.contains("version id") => Self::NoVersion,
            (404, _) => Self::NoObject,
            (_, "InvalidObjectState") => Self::Archived,
            (400, "InvalidRequest") if message.contains("Server Side Encryption") => {
                Self::CustomerKey
            }
            (_, code) if code.starts_with("KMS.") => Self::Key(short(code)),
            (
                _,
                "ExpiredToken"
                | "InvalidToken"
                | "InvalidAccessKeyId"
                | "TokenRefreshRequired"
                | "SignatureDoesNotMatch"
                | "RequestTimeTooSkewed",
            ) => Self::Credentials(short(&code)),
            // For a key of KMS there is no code of its own, only the name of the action.
            (403, _) if message.contains("kms:") => Self::Key(short(&message)),
            (403, _) => Self::Denied(message.starts_with("User: ").then(|| short(&message))),
            (429 | 500..=599, _) | (400, "RequestTimeout") => {
                let code = if code.is_empty() { "no reason given".into() } else { short(&code) };
                Self::Unavailable(format!("S3 answered {}, {code}", answer.status))
            }
            (status, _) => Self::Refused(status, short(&code)),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        let hint = match self {
            Self::NoObject => "Check `Key`; it is told apart by case, and begins without `/`.",
            Self::NoBucket => "Check `Bucket`.",
            Self::NoVersion => "Check `VersionId`.",
            Self::Deleted => "Upload it again, or name an earlier `VersionId`.",
            Self::Denied(_) => {
                "Allow the function's role s3:GetObject on it (with `VersionId` s3:GetObjectVersion), \
                 in its own policy and in those of the bucket and the VPC endpoint. Without \
                 s3:ListBucket on the bucket a missing object is refused the same way."
            }
            Self::Key(_) => {
                "Allow the function's role kms:Decrypt on the object's key, in its own policy and \
                 in the key's, and see that the key is enabled."
            }
            Self::Archived => "Restore it (RestoreObject), or upload it again.",
            Self::CustomerKey => "Store it with a key of S3 or KMS.",
            Self::Credentials(_) => {
                "Check the function's role, or the credentials and the clock of this machine."
            }
            Self::Region(_) => "Check the region, and AWS_ENDPOINT_URL_S3 where it is set.",
            Self::TooLarge(_) => "Put only the changelog's files into the zip.",
            Self::Untrusted(_) => "Name the authority's certificates in SSL_CERT_FILE.",
            Self::Request(_) | Self::Refused(..) => return None,
            Self::Unavailable(_) => {
                "In a VPC the function needs NAT or a gateway endpoint for S3, whose policy allows \
                 the bucket."
            }
        };
        Some(hint)
    }

    /// Whether a later try may succeed.
    pub fn heals(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoObject => f.write_str("there is no such object"),
            Self::NoBucket => f.write_str("there is no such bucket"),
            Self::NoVersion => f.write_str("there is no such version of the object"),
            Self::Deleted => f.write_str("the object was deleted"),
            Self::Denied(None) => f.write_str("reading it is not allowed"),
            Self::Denied(Some(why)) => write!(f, "reading it is not allowed ({why})"),
            Self::Key(why) => write!(f, "its KMS key may not be used ({why})"),
            Self::Archived => f.write_str("the object is archived"),
            Self::CustomerKey => f.write_str("the object is encrypted with a key that S3 has not"),
            Self::Credentials(why) => write!(f, "S3 needs other credentials ({why})"),
            Self::Region(region) => write!(f, "its bucket is in region `{region}`"),
            Self::TooLarge(limit) => write!(f, "it is larger than {} MiB", limit >> 20),
            Self::Request(why) => f.write_str(why),
            Self::Untrusted(why) => write!(f, "S3's certificate is not trusted ({why})"),
            Self::Refused(status, code) if code.is_empty() => write!(f, "S3 answered {status}"),
            Self::Refused(status, code) => write!(f, "S3 answered {status}, {code}"),
            Self::Unavailable(why) => f.write_str(why),
        }
    }
}

/// `Code`, `Message` and `Region` of an error's XML; empty where it is none.
fn fields(body: &str) -> (String, String, Option<String>) {
    let Ok(document) = roxmltree::Document::parse(body.trim_start_matches('\u{feff}')) else {
        return Default::default();
    };
    let text = |name: &str| {
        let found = document.root_element().children().find(|it| it.has_tag_name(name));
        found.and_then(|it| it.text()).map(|it| it.trim().to_owned())
    };
    (text("Code").unwrap_or_default(), text("Message").unwrap_or_default(), text("Region"))
}

/// A region becomes part of a host name.
pub fn is_region(name: &str) -> bool {
    let is_word = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
    (4..=32).contains(&name.len()) && name.chars().all(is_word)
}

fn short(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(status: u16, code: &str, message: &str) -> Fault {
        let body = format!(
            "<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        );
        Fault::of(&Answer { status, region: None, deleted: false, asked: "eu-west-1", body: &body })
    }

    #[test]
    fn answers_are_told_apart() {
        let kms = "User: arn:aws:sts::1:assumed-role/f is not authorized to perform: kms:Decrypt";
        let denied =
            "User: arn:aws:sts::1:assumed-role/f is not authorized to perform: s3:GetObject";
        for (fault, wanted) in [
            (fault(404, "NoSuchKey", ""), Fault::NoObject),
            (fault(404, "NoSuchBucket", ""), Fault::NoBucket),
            (fault(404, "NoSuchVersion", ""), Fault::NoVersion),
            (fault(400, "InvalidArgument", "Invalid version id specified"), Fault::NoVersion),
            (fault(403, "AccessDenied", "Access Denied"), Fault::Denied(None)),
            (fault(403, "AccessDenied", denied), Fault::Denied(Some(denied.into()))),
            (fault(403, "AccessDenied", kms), Fault::Key(kms.into())),
            (fault(400, "KMS.DisabledException", "x"), Fault::Key("KMS.DisabledException".into())),
            (fault(403, "InvalidObjectState", ""), Fault::Archived),
            (fault(400, "ExpiredToken", "token"), Fault::Credentials("ExpiredToken".into())),
            (
                fault(403, "SignatureDoesNotMatch", "AKIA…"),
                Fault::Credentials("SignatureDoesNotMatch".into()),
            ),
            (fault(503, "SlowDown", ""), Fault::Unavailable("S3 answered 503, SlowDown".into())),
            (fault(400, "Strange", "secret"), Fault::Refused(400, "Strange".into())),
        ] {
            assert_eq!(fault, wanted);
        }
        let empty = Answer { status: 403, region: None, deleted: false, asked: "a", body: "<html" };
        assert_eq!(Fault::of(&empty), Fault::Denied(None));
        let marker = Answer { status: 404, deleted: true, ..empty };
        assert_eq!(Fault::of(&marker), Fault::Deleted);
    }

    #[test]
    fn another_region_is_found_in_the_header_or_the_text() {
        let at = |status, region, body| {
            Fault::of(&Answer { status, region, deleted: false, asked: "us-east-1", body })
        };
        let elsewhere = Fault::Region("eu-central-1".into());
        assert_eq!(at(301, Some("eu-central-1"), ""), elsewhere);
        assert_eq!(at(400, Some("eu-central-1"), ""), elsewhere);
        let text =
            "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-central-1</Region></Error>";
        assert_eq!(at(400, None, text), elsewhere);
        assert_eq!(at(301, Some("evil.example/"), ""), Fault::Refused(301, String::new()));
        assert_eq!(at(403, Some("us-east-1"), ""), Fault::Denied(None));
    }
}
