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

#[cfg(test)]
mod tests {
    use super::*;

    /// What Liquibase 4.28.0 makes of them for PostgreSQL 15; the letters' case is its own.
    #[test]
    fn a_type_is_written_as_liquibase_writes_it() {
        for (definition, sql, increments) in [
            ("varchar", "VARCHAR", false),
            ("varchar(255)", "VARCHAR(255)", false),
            ("VARCHAR(10)", "VARCHAR(10)", false),
            ("varchar2(20 char)", "VARCHAR(20)", false),
            ("varchar2(20 BYTE)", "VARCHAR(20)", false),
            ("nvarchar(30)", "VARCHAR(30)", false),
            ("nvarchar2", "VARCHAR", false),
            ("national character varying(20)", "VARCHAR(20)", false),
            ("character varying(12)", "VARCHAR(12)", false),
            ("character varying", "VARCHAR", false),
            ("char", "CHAR", false),
            ("char(5)", "CHAR(5)", false),
            ("CHAR(5 CHAR)", "CHAR(5)", false),
            ("nchar(3)", "NCHAR(3)", false),
            ("bpchar", "CHAR", false),
            ("character(4)", "CHAR(4)", false),
            ("text", "TEXT", false),
            ("TEXT", "TEXT", false),
            ("clob", "TEXT", false),
            ("longtext", "TEXT", false),
            ("mediumtext", "TEXT", false),
            ("tinytext", "TEXT", false),
            ("nclob", "TEXT", false),
            ("ntext", "TEXT", false),
            ("java.sql.Types.CLOB", "TEXT", false),
            ("java.sql.Types.VARCHAR(255)", "VARCHAR(255)", false),
            ("java.sql.Types.VARCHAR", "VARCHAR", false),
            ("java.sql.Types.NVARCHAR(10)", "VARCHAR(10)", false),
            ("java.sql.Types.CHAR(2)", "CHAR(2)", false),
            ("java.sql.Types.INTEGER", "INTEGER", false),
            ("java.sql.Types.BIGINT", "BIGINT", false),
            ("java.sql.Types.BOOLEAN", "BOOLEAN", false),
            ("java.sql.Types.BIT", "JAVA.SQL.TYPES.BIT", false),
            ("java.sql.Types.DATE", "date", false),
            ("java.sql.Types.TIME", "time WITHOUT TIME ZONE", false),
            ("java.sql.Types.TIMESTAMP", "TIMESTAMP WITHOUT TIME ZONE", false),
            ("java.sql.Types.TIMESTAMP_WITH_TIMEZONE", "TIMESTAMP WITH TIME ZONE", false),
            ("java.sql.Types.DECIMAL(10,2)", "DECIMAL(10, 2)", false),
            ("java.sql.Types.NUMERIC(10,2)", "numeric(10, 2)", false),
            ("java.sql.Types.DOUBLE", "DOUBLE PRECISION", false),
            ("java.sql.Types.FLOAT", "FLOAT", false),
            ("java.sql.Types.REAL", "FLOAT", false),
            ("java.sql.Types.BLOB", "OID", false),
            ("java.sql.Types.BINARY", "BYTEA", false),
            ("java.sql.Types.VARBINARY(10)", "BYTEA", false),
            ("java.sql.Types.SMALLINT", "SMALLINT", false),
            ("java.sql.Types.TINYINT", "SMALLINT", false),
            ("java.sql.Types.SQLXML", "XML", false),
            ("java.sql.Types.OTHER", "JAVA.SQL.TYPES.OTHER", false),
            ("java.sql.Types.ARRAY", "JAVA.SQL.TYPES.ARRAY", false),
            ("java.lang.String", "VARCHAR", false),
            ("java.lang.Long", "BIGINT", false),
            ("java.math.BigDecimal", "DECIMAL", false),
            ("java.util.UUID", "UUID", false),
            ("blob", "OID", false),
            ("BLOB(10)", "OID", false),
            ("longblob", "BYTEA", false),
            ("binary", "BYTEA", false),
            ("binary(16)", "BYTEA", false),
            ("varbinary(100)", "BYTEA", false),
            ("long binary", "BYTEA", false),
            ("bytea", "BYTEA", false),
            ("image", "BYTEA", false),
            ("boolean", "BOOLEAN", false),
            ("bool", "BOOLEAN", false),
            ("bit", "BIT", false),
            ("bit(1)", "BIT(1)", false),
            ("bit(8)", "BIT(8)", false),
            ("bit varying(5)", "BIT VARYING(5)", false),
            ("tinyint", "SMALLINT", false),
            ("tinyint(1)", "SMALLINT", false),
            ("smallint", "SMALLINT", false),
            ("smallint(5)", "SMALLINT", false),
            ("int2", "SMALLINT", false),
            ("smallserial", "SMALLINT", true),
            ("mediumint", "MEDIUMINT", false),
            ("mediumint(5)", "MEDIUMINT(5)", false),
            ("int", "INTEGER", false),
            ("INT", "INTEGER", false),
            ("int(11)", "INTEGER", false),
            ("integer", "INTEGER", false),
            ("int4", "INTEGER", false),
            ("serial", "INTEGER", true),
            ("serial4", "INTEGER", true),
            ("int unsigned", "INTEGER", false),
            ("bigint", "BIGINT", false),
            ("bigint(20)", "BIGINT", false),
            ("bigint unsigned", "BIGINT unsigned", false),
            ("bigserial", "BIGINT", true),
            ("int8", "BIGINT", false),
            ("serial8", "BIGINT", true),
            ("integer8", "BIGINT", false),
            ("bigint identity", "BIGINT", true),
            ("int identity", "INTEGER", true),
            ("int{autoIncrement:true}", "INTEGER", true),
            ("bigint{autoIncrement:true}", "BIGINT", true),
            ("smallint{autoIncrement:true}", "SMALLINT", true),
            ("serial{autoIncrement:true}", "INTEGER", true),
            ("float", "FLOAT", false),
            ("float(5)", "FLOAT(5)", false),
            ("float8", "FLOAT8", false),
            ("float4", "FLOAT4", false),
            ("real", "REAL", false),
            ("double", "DOUBLE PRECISION", false),
            ("double(5,2)", "DOUBLE PRECISION", false),
            ("double precision", "DOUBLE PRECISION", false),
            ("decimal", "DECIMAL", false),
            ("decimal(10)", "DECIMAL(10)", false),
            ("decimal(10,2)", "DECIMAL(10, 2)", false),
            ("decimal(10, 2)", "DECIMAL(10, 2)", false),
            ("numeric", "numeric", false),
            ("numeric(5,1)", "numeric(5, 1)", false),
            ("number", "numeric", false),
            ("number(10)", "numeric(10)", false),
            ("number(10,2)", "numeric(10, 2)", false),
            ("number(38,0)", "numeric(38, 0)", false),
            ("numeric(2000,1)", "numeric", false),
            ("currency", "DECIMAL", false),
            ("money", "DECIMAL", false),
            ("smallmoney", "DECIMAL", false),
            ("date", "date", false),
            ("DATE", "date", false),
            ("datetime", "TIMESTAMP WITHOUT TIME ZONE", false),
            ("datetime(3)", "TIMESTAMP(3) WITHOUT TIME ZONE", false),
            ("datetime2", "TIMESTAMP WITHOUT TIME ZONE", false),
            ("smalldatetime", "TIMESTAMP WITHOUT TIME ZONE", false),
            ("timestamp", "TIMESTAMP WITHOUT TIME ZONE", false),
            ("timestamp(3)", "TIMESTAMP(3) WITHOUT TIME ZONE", false),
            ("timestamp without time zone", "TIMESTAMP without time zone", false),
            ("timestamp with time zone", "TIMESTAMP with time zone", false),
            ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE", false),
            ("timestamp(3) with time zone", "TIMESTAMP(3) with time zone", false),
            ("timestamp with timezone", "TIMESTAMP WITH TIME ZONE", false),
            ("timestamptz", "TIMESTAMP WITH TIME ZONE", false),
            ("timestamptz(3)", "TIMESTAMP(3) WITH TIME ZONE", false),
            ("timestamp with local time zone", "TIMESTAMP with local time zone", false),
            ("time", "time WITHOUT TIME ZONE", false),
            ("time(3)", "time(3) WITHOUT TIME ZONE", false),
            ("timetz", "time WITH TIME ZONE", false),
            ("timetz(2)", "time(2) WITH TIME ZONE", false),
            ("time with time zone", "time WITH TIME ZONE", false),
            ("time(3) with time zone", "time(3) WITH TIME ZONE", false),
            ("time without time zone", "time WITHOUT TIME ZONE", false),
            ("interval", "INTERVAL", false),
            ("uuid", "UUID", false),
            ("UUID", "UUID", false),
            ("uniqueidentifier", "UUID", false),
            ("xml", "XML", false),
            ("xmltype", "XML", false),
            ("json", "JSON", false),
            ("jsonb", "JSONB", false),
            ("JSONB", "JSONB", false),
            ("inet", "INET", false),
            ("tsvector", "TSVECTOR", false),
            ("text[]", "TEXT[]", false),
            ("int[]", "INT[]", false),
            ("integer[]", "INTEGER[]", false),
            ("uuid[]", "UUID[]", false),
            ("citext", "CITEXT", false),
            ("geometry(Point,4326)", "GEOMETRY(Point, 4326)", false),
            ("geography", "GEOGRAPHY", false),
            ("my_enum", "MY_ENUM", false),
            ("MyEnum", "MYENUM", false),
            (r#""MyEnum""#, "MYENUM", false),
            ("my_schema.my_type", "MY_SCHEMA.MY_TYPE", false),
            ("hstore", "HSTORE", false),
            ("oid", "OID", false),
            ("year", "YEAR", false),
            ("money(5)", "DECIMAL", false),
            ("bigint[]", "BIGINT[]", false),
            ("varchar(max)", "VARCHAR(max)", false),
            ("varchar(2147483647)", "CHARACTER VARYING", false),
            ("varchar (20)", "VARCHAR(20)", false),
            ("char varying(10)", "CHAR(10) varying", false),
            ("name", "NAME", false),
            ("ltree", "LTREE", false),
            ("int4range", "INT4RANGE", false),
            ("tstzrange", "TSTZRANGE", false),
            ("bit varying", "BIT VARYING", false),
            ("long varchar", "TEXT", false),
            ("date(5)", "date", false),
            ("uuid(36)", "UUID", false),
            ("text(500)", "TEXT", false),
            ("clob(500)", "TEXT", false),
            (r#"varchar(20) collate "C""#, r#"VARCHAR(20) collate "C""#, false),
            (r#"varchar(20) COLLATE "de_DE""#, r#"VARCHAR(20) COLLATE "de_DE""#, false),
            ("point", "POINT", false),
            ("vector(3)", "VECTOR(3)", false),
            ("`int`", "INTEGER", false),
            ("[int]", "INTEGER", false),
            ("'int'", "INTEGER", false),
            ("java.sql.Types.TIMESTAMP(3)", "TIMESTAMP(3) WITHOUT TIME ZONE", false),
            ("java.sql.Types.TIME_WITH_TIMEZONE", "JAVA.SQL.TYPES.TIME_WITH_TIMEZONE", false),
            ("java.sql.Types.LONGVARCHAR", "TEXT", false),
            ("java.sql.Types.LONGVARBINARY", "BYTEA", false),
            ("java.sql.Types.NCLOB", "TEXT", false),
            ("java.sql.Types.LONGNVARCHAR", "TEXT", false),
            ("java.sql.Types.DATETIME", "TIMESTAMP WITHOUT TIME ZONE", false),
            ("java.sql.Types.NCHAR(3)", "NCHAR(3)", false),
            ("CHARACTER VARYING (30)", "VARCHAR(30)", false),
            ("DECIMAL", "DECIMAL", false),
            ("Double Precision", "DOUBLE PRECISION", false),
            ("decimal(5,2) unsigned", "DECIMAL(5, 2) unsigned", false),
        ] {
            let kind = Kind::of(definition).unwrap();
            assert!(kind.sql.eq_ignore_ascii_case(sql), "{definition}: {}, not {sql}", kind.sql);
            assert_eq!(kind.increments, increments, "{definition}");
        }
        assert!(Kind::of("timestamp(9)").is_err());
    }

    #[test]
    fn what_liquibase_garbles_is_written_as_it_stands() {
        for (definition, sql) in [
            ("interval(3)", "INTERVAL(3)"),
            ("interval year to month", "INTERVAL YEAR TO MONTH"),
            ("varchar(20)[]", "VARCHAR(20)[]"),
            ("numeric(10,2)[]", "NUMERIC(10,2)[]"),
            ("boolean(1)", "BOOLEAN"),
        ] {
            assert_eq!(Kind::of(definition).unwrap().sql, sql);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_type_or_an_error(text in "(varchar|timestamp|int|é)?[ (),{}\\[\\]\"'0-9a-z]{0,16}") {
            let _ = Kind::of(&text);
        }
    }
}
