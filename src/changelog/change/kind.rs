//! Data types: from what an author wrote to what PostgreSQL has.
//!
//! Liquibase knows families of types, each under many names, and writes each
//! family in one way; what it does not know it writes as it stands, in upper case.
//! Text after the name (`COLLATE "C"`) is kept or dropped by family. A type is SQL
//! by its nature; nothing here checks that the server has it.

/// What a type is, as far as values are written differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Whole numbers.
    Integer,
    /// Other numbers.
    Number,
    /// `boolean`.
    Boolean,
    /// `bit(n)`.
    Bit,
    /// Texts with a length.
    Char,
    /// Texts without one.
    Clob,
    /// Date with time.
    Timestamp,
    /// Everything else.
    Other,
}

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// What it is.
    pub family: Family,
    /// As SQL text.
    pub sql: String,
    /// Whether it counts up by itself: `serial`.
    pub increments: bool,
}

/// A definition, taken apart.
struct Parts<'a> {
    /// As written.
    whole: &'a str,
    name: String,
    /// What stands behind the name.
    more: Option<String>,
    params: Vec<String>,
    increments: bool,
}

/// Types that keep the words behind their name.
const LONG: [&str; 6] = [
    "bit varying",
    "character varying",
    "long varchar",
    "long nvarchar",
    "long binary",
    "long varbinary",
];

impl Kind {
    /// The type for a definition; what PostgreSQL cannot have is an error.
    pub fn of(definition: &str) -> Result<Self, String> {
        let parts = Parts::of(definition);
        let name = parts.name.to_ascii_lowercase();
        let name = name.strip_prefix("java.sql.types.").map_or(name.as_str(), |name| name);
        let (family, sql) = parts.in_sql(name)?;
        let serial = matches!(name, "serial" | "serial4" | "serial8" | "bigserial" | "smallserial");
        Ok(Self { family, sql, increments: serial || parts.increments })
    }
}

impl<'a> Parts<'a> {
    fn of(whole: &'a str) -> Self {
        let definition = whole.split('{').next().unwrap_or_default().trim();
        let (mut name, mut params) = (definition.to_owned(), Vec::new());
        if let Some(open) = definition.find('(').filter(|open| *open > 0) {
            let close = definition.rfind(')').filter(|close| *close > open);
            let behind = close.map_or("", |close| &definition[close + 1..]);
            name = format!("{}{behind}", definition[..open].trim_end());
            let inside = &definition[open + 1..];
            let inside = inside.split(')').next().unwrap_or_default();
            params = inside.split(',').map(|param| param.trim().to_owned()).collect();
            params.retain(|param| !param.is_empty());
        }
        let mut increments = whole.contains("autoIncrement:true");
        if let Some(bare) = name.to_ascii_lowercase().strip_suffix(" identity") {
            (name, increments) = (bare.to_owned(), true);
        }
        for (open, close) in [('"', '"'), ('[', ']'), ('`', '`'), ('\'', '\'')] {
            if let Some((inside, behind)) =
                name.strip_prefix(open).and_then(|rest| rest.split_once(close))
            {
                name = format!("{inside}{behind}");
                break;
            }
        }
        let lower = name.to_ascii_lowercase();
        let mut more = None;
        if !LONG.iter().any(|long| lower.starts_with(long)) {
            if let Some((first, rest)) = name.trim().split_once(char::is_whitespace) {
                more = Some(rest.trim_start().to_owned());
                name = first.to_owned();
            }
        }
        Self { whole: definition, name: name.trim().to_owned(), more, params, increments }
    }

    fn in_sql(&self, name: &str) -> Result<(Family, String), String> {
        let lower = self.whole.to_ascii_lowercase();
        Ok(match name {
            "bigint"
            | "java.math.biginteger"
            | "java.lang.long"
            | "integer8"
            | "bigserial"
            | "serial8"
            | "int8" => (Family::Integer, self.with("BIGINT", &[])),
            "int" | "integer" | "java.lang.integer" | "serial" | "int4" | "serial4" => {
                (Family::Integer, "INTEGER".into())
            }
            "smallint" | "int2" | "smallserial" | "tinyint" => (Family::Integer, "SMALLINT".into()),
            "mediumint" => (Family::Integer, self.with("MEDIUMINT", &self.params)),
            // A large object; the column has its number only.
            "blob" => (Family::Other, "OID".into()),
            "longblob" | "longvarbinary" | "varbinary" | "binary" | "image" | "tinyblob"
            | "mediumblob" | "long binary" | "long varbinary" => (Family::Other, "BYTEA".into()),
            "bit" if lower.starts_with("bit") => (Family::Bit, sized("BIT", &self.params)),
            "boolean" | "java.lang.boolean" | "bool" => (Family::Boolean, "BOOLEAN".into()),
            "char" | "bpchar" | "character" => (Family::Char, self.text("CHAR")),
            "nchar" | "nchar2" => (Family::Char, self.text("NCHAR")),
            "varchar" | "java.lang.string" | "varchar2" | "character varying" => {
                (Family::Char, self.text("VARCHAR"))
            }
            "nvarchar" | "nvarchar2" | "national" => {
                (Family::Char, sized("VARCHAR", &self.chars()))
            }
            "clob" | "longvarchar" | "text" | "longtext" | "nclob" | "longnvarchar" | "ntext"
            | "tinytext" | "mediumtext" | "long varchar" | "long nvarchar" => {
                (Family::Clob, "TEXT".into())
            }
            "currency" | "money" | "smallmoney" => (Family::Number, "DECIMAL".into()),
            "decimal" | "java.math.bigdecimal" => {
                (Family::Number, self.with("DECIMAL", &self.params))
            }
            "number" | "numeric" => (Family::Number, self.number()),
            "double" | "java.lang.double" => (Family::Number, "DOUBLE PRECISION".into()),
            "real" if lower == "real" => (Family::Number, "REAL".into()),
            "float" | "java.lang.float" | "real" => {
                (Family::Number, self.with("FLOAT", &self.params))
            }
            "date" | "java.sql.date" => (Family::Other, "DATE".into()),
            "datetime" | "java.util.date" | "smalldatetime" | "datetime2" => {
                (Family::Timestamp, self.zoned("TIMESTAMP", &lower))
            }
            "timestamp" | "timestamp_with_timezone" | "java.sql.timestamp" | "timestamptz" => {
                (Family::Timestamp, self.timestamp(&lower)?)
            }
            "time" | "java.sql.time" | "timetz" => (Family::Other, self.zoned("TIME", &lower)),
            "uuid" | "uniqueidentifier" | "java.util.uuid" => (Family::Other, "UUID".into()),
            "xml" | "xmltype" | "sqlxml" => (Family::Other, "XML".into()),
            // Liquibase garbles intervals and arrays with a length; as written they are right.
            _ if name.starts_with("interval") || name.contains('[') => {
                (Family::Other, self.whole.to_ascii_uppercase())
            }
            _ => (Family::Other, self.with(&self.name.to_uppercase(), &self.params)),
        })
    }

    /// With what stands behind the name.
    fn with(&self, name: &str, params: &[String]) -> String {
        let sql = sized(name, params);
        match &self.more {
            Some(more) => format!("{sql} {more}"),
            None => sql,
        }
    }

    /// Lengths are in characters in PostgreSQL, whatever else is said.
    fn chars(&self) -> Vec<String> {
        let bare = |param: &String| {
            let digits = param.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
            let unit = param[digits.len()..].trim();
            let is_unit = ["CHAR", "BYTE"].iter().any(|it| it.eq_ignore_ascii_case(unit));
            if is_unit { digits.to_owned() } else { param.clone() }
        };
        self.params.iter().map(bare).collect()
    }

    fn text(&self, name: &str) -> String {
        let params = self.chars();
        if params == ["2147483647"] {
            return "CHARACTER VARYING".into();
        }
        self.with(name, &params)
    }

    fn number(&self) -> String {
        let first: Option<u64> = self.params.first().and_then(|param| param.parse().ok());
        let params = if first.is_some_and(|first| first > 1000) { &[] } else { &*self.params };
        sized("NUMERIC", params)
    }

    fn zoned(&self, name: &str, lower: &str) -> String {
        let with = lower.contains("tz") || lower.contains("with time zone");
        let digits = if self.params.len() == 2 { &self.params[1..] } else { &*self.params };
        let zone = if with { "WITH" } else { "WITHOUT" };
        format!("{} {zone} TIME ZONE", sized(name, digits))
    }

    fn timestamp(&self, lower: &str) -> Result<String, String> {
        if self.params.first().and_then(|digits| digits.parse().ok()).is_some_and(|it: u32| it > 6)
        {
            return Err(format!("`{}` has more than the 6 digits that PostgreSQL has", self.whole));
        }
        let name = sized("TIMESTAMP", &self.params[..self.params.len().min(1)]);
        if lower.starts_with("java.sql.types.timestamp_with_timezone") {
            return Ok(format!("{name} WITH TIME ZONE"));
        }
        Ok(match self.more.as_ref().map(|more| more.to_ascii_uppercase()) {
            Some(more) => format!("{name} {}", more.replace("TIMEZONE", "TIME ZONE")),
            None => self.zoned("TIMESTAMP", lower),
        })
    }
}

fn sized(name: &str, params: &[String]) -> String {
    if params.is_empty() { name.to_owned() } else { format!("{name}({})", params.join(", ")) }
}
