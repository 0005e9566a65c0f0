//! `loadData` and `loadUpdateData`: rows from a CSV file.
//!
//! The file is never held: rows are read as they are written, and come out as
//! statements of some hundred rows. A value of a file is data: it is a literal,
//! unless its column was said to be `COMPUTED`. A column without a type has the
//! type of the table's column, which only the database knows: see [`Load::question`].

use super::csv::{self, Csv};
use super::given::Given;
use super::name::{self, quoted};
use super::watched::Watched;
use super::{Context, cell, number, squeeze, value, view};
use crate::changelog::text::{NUL, NUL_HINT};
use crate::changelog::{ChangelogError, FileError, Files, Place, checksum};
use crate::sql::literal;

pub use super::cell::Type;

/// Rows of one statement, at most.
const ROWS: usize = 500;
/// And about its length in bytes.
const BYTES: usize = 256 * 1024;

/// Rows that are to be loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    place: Place,
    file: String,
    table: String,
    schema: Option<String>,
    form: csv::Form,
    columns: Vec<Column>,
    update: Option<Update>,
    damaged: Option<Place>,
}

/// What was said about a column.
#[derive(Debug, Clone, PartialEq)]
struct Column {
    name: Option<String>,
    header: Option<String>,
    index: Option<usize>,
    kind: Option<Type>,
    /// What an empty value is: a text that is read like a value of the file.
    default: Option<String>,
    /// What it is if there is no such text: SQL.
    otherwise: Option<String>,
    updates: bool,
}

/// `loadUpdateData`: rows that are there are changed.
#[derive(Debug, Clone, PartialEq)]
struct Update {
    keys: Vec<String>,
    only: bool,
}

/// A column of the file that is loaded.
struct Target<'a> {
    /// Which value of a row.
    at: usize,
    /// As the table has it.
    name: String,
    kind: Option<Type>,
    said: Option<&'a Column>,
}

impl Load {
    /// Reads the change; the file is looked through for its checksum.
    pub fn of(given: &Given, context: &Context<'_>) -> Result<(Self, String), ChangelogError> {
        super::only_utf8(given)?;
        let file = context.path(given, given.needed("file"))?;
        if file.to_ascii_lowercase().ends_with(".gz") {
            return Err(given.error(format!("`{file}` is compressed, which is not supported")));
        }
        let form = csv::Form::of(given)?;
        let (sum, damaged) = Self::checksum(given, context.files, &file, &form)?;
        let columns: Result<Vec<_>, _> = given.columns().iter().map(Column::of).collect();
        let update = (given.shape.name == "loadUpdateData").then(|| Update {
            // Compared with the names of the file, as they are.
            keys: given.needed("primaryKey").split(',').map(|key| key.trim().to_owned()).collect(),
            only: given.is("onlyUpdate"),
        });
        let load = Self {
            place: given.place.clone(),
            file,
            table: name::table(given),
            schema: given.filled("schemaName").map(str::to_owned),
            form,
            columns: columns?,
            update,
            damaged,
        };
        Ok((load, sum))
    }

    fn checksum(
        given: &Given,
        files: &dyn Files,
        path: &str,
        form: &csv::Form,
    ) -> Result<(String, Option<Place>), ChangelogError> {
        let mut file = Watched::new(files.open(path).map_err(|error| view::at(given, error))?);
        let comment = form.comment.as_deref().and_then(|text| text.chars().next());
        let sum = squeeze::checksum(&mut file, comment)
            .map_err(|error| given.error(format!("`{path}` cannot be read: {error}")))?;
        let place = |line| Place { file: path.to_owned(), line };
        if let Some(line) = file.nul() {
            return Err(ChangelogError::at(&place(line), NUL).hint(NUL_HINT));
        }
        let damaged = file.damaged().map(place);
        Ok((checksum::of_text(9, &format!("{}:{sum}", given.needed("tableName"))), damaged))
    }

    /// Where the file is not UTF-8.
    pub fn damaged(&self) -> Option<&Place> {
        self.damaged.as_ref()
    }

    /// The file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// A query for the types of the table's columns: rows of a name and `pg_type.typcategory`, as
    /// [`statements`](Self::statements) wants them. Ask it right before, for an earlier statement may
    /// have made the table.
    pub fn question(&self) -> String {
        format!(
            "SELECT attname::text, CASE WHEN atttypid = 'uuid'::regtype THEN 'U' ELSE \
             typcategory::text END FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid WHERE \
             attrelid = to_regclass({}) AND attnum > 0 AND NOT attisdropped",
            literal(&self.table)
        )
    }

    /// Gives the statements to `sink`, one at a time, until it says `false`. `types` is the answer to
    /// [`question`](Self::question); without it, columns without a type are texts.
    pub fn statements(
        &self,
        files: &dyn Files,
        types: &[(String, String)],
        sink: &mut dyn FnMut(String) -> bool,
    ) -> Result<(), ChangelogError> {
        let file = files.open(&self.file).map_err(|error| self.file_error(error))?;
        let mut rows = Csv::new(file, &self.form);
        let Some(headers) = self.row(&mut rows)? else {
            return Err(self.error(format!("`{}` is empty", self.file)));
        };
        let targets = self.targets(&headers, types)?;
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(row) = self.row(&mut rows)? {
            if row.len() != headers.len() {
                let (line, have, want) = (rows.line(), row.len(), headers.len());
                let what = format!("`{}`:{line} has {have} values, its header {want}", self.file);
                return Err(self.error(what).hint("Is a value with a separator in it quoted?"));
            }
            let values = targets.iter().map(|it| self.cell(it, &row[it.at]));
            let values: Result<Vec<_>, _> = values.collect();
            let values = values
                .map_err(|what| self.error(format!("`{}`:{}: {what}", self.file, rows.line())))?;
            let sql = match &self.update {
                None => format!("({})", values.join(", ")),
                Some(update) => self.updated(update, &targets, &values)?,
            };
            bytes += sql.len();
            batch.push(sql);
            if batch.len() >= ROWS || bytes >= BYTES {
                bytes = 0;
                if !sink(self.statement(&targets, &std::mem::take(&mut batch))) {
                    return Ok(());
                }
            }
        }
        if !batch.is_empty() {
            sink(self.statement(&targets, &batch));
        }
        Ok(())
    }

    /// One statement for some rows.
    fn statement(&self, targets: &[Target<'_>], rows: &[String]) -> String {
        if self.update.is_some() {
            return format!("DO {}", literal(&format!("BEGIN\n{}END", rows.concat())));
        }
        format!("{} VALUES {}", self.insert(targets), rows.join(",\n"))
    }

    fn insert(&self, targets: &[Target<'_>]) -> String {
        let names: Vec<_> = targets.iter().map(|it| quoted(&it.name)).collect();
        format!("INSERT INTO {} ({})", self.table, names.join(", "))
    }

    /// A row that may be there: changed if it is, and else made.
    fn updated(
        &self,
        update: &Update,
        targets: &[Target<'_>],
        values: &[String],
    ) -> Result<String, ChangelogError> {
        let is_key = |name: &str| update.keys.iter().any(|key| key == name);
        let pairs = || targets.iter().zip(values);
        if let Some(key) = update.keys.iter().find(|key| !targets.iter().any(|it| it.name == **key))
        {
            let what = format!("`{}` has no column `{key}`, which is the primary key", self.file);
            return Err(self.error(what));
        }
        let keys: Vec<_> = pairs()
            .filter(|(it, _)| is_key(&it.name))
            .map(|(it, value)| match value.as_str() {
                "NULL" => format!("{} IS NULL", quoted(&it.name)),
                _ => format!("{} = {value}", quoted(&it.name)),
            })
            .collect();
        let set: Vec<_> = pairs()
            .filter(|(it, _)| !is_key(&it.name) && it.said.is_none_or(|said| said.updates))
            .map(|(it, value)| format!("{} = {value}", quoted(&it.name)))
            .collect();
        let (table, keys) = (&self.table, keys.join(" AND "));
        let mut sql = if set.is_empty() {
            format!("PERFORM 1 FROM {table} WHERE {keys};\n")
        } else {
            format!("UPDATE {table} SET {} WHERE {keys};\n", set.join(", "))
        };
        if !update.only {
            let insert = format!("{} VALUES ({})", self.insert(targets), values.join(", "));
            sql.extend(["IF NOT FOUND THEN\n", &insert, ";\nEND IF;\n"]);
        }
        Ok(sql)
    }

    /// Which values go where.
    fn targets<'a>(
        &'a self,
        headers: &[String],
        types: &[(String, String)],
    ) -> Result<Vec<Target<'a>>, ChangelogError> {
        let mut targets = Vec::new();
        for (at, header) in headers.iter().enumerate() {
            let header = header.trim();
            let said = self.columns.iter().find(|it| it.is(at, header));
            if said.is_some_and(|it| it.kind == Some(Type::Skip)) {
                continue;
            }
            let name = said.and_then(|it| it.name.as_deref()).unwrap_or(header);
            if name.is_empty() {
                return Err(self.error(format!(
                    "column {} of `{}` has no name",
                    at + 1,
                    self.file
                )));
            }
            let there = types.iter().find(|(column, _)| *column == name::stored(name));
            let there = there.map(|(_, category)| Type::of_category(category));
            let kind = said.and_then(|it| it.kind).or(there);
            targets.push(Target { at, name: name.to_owned(), kind, said });
        }
        Ok(targets)
    }

    /// A value as SQL text.
    fn cell(&self, target: &Target<'_>, text: &str) -> Result<String, String> {
        let text = match (text, target.said) {
            ("", Some(said)) => match (&said.default, &said.otherwise) {
                (Some(default), _) => Some(default.as_str()),
                (None, Some(otherwise)) => return Ok(otherwise.clone()),
                (None, None) => None,
            },
            ("", None) => None,
            (text, _) => Some(text),
        };
        cell::in_sql(target.kind, text, self.schema.as_deref())
            .map_err(|what| format!("column `{}`: {what}", target.name))
    }

    fn row(&self, rows: &mut Csv<'_>) -> Result<Option<Vec<String>>, ChangelogError> {
        rows.next().map_err(|what| self.error(format!("`{}`: {what}", self.file)))
    }

    fn error(&self, what: String) -> ChangelogError {
        ChangelogError::at(&self.place, what)
    }

    fn file_error(&self, error: FileError) -> ChangelogError {
        let mut made = self.error(error.to_string());
        made.hint = error.hint().map(str::to_owned);
        made
    }
}

impl Column {
    fn of(given: &Given) -> Result<Self, ChangelogError> {
        let kind = given.filled("type").map(Type::of);
        if kind == Some(Type::Lob) {
            let what = format!("the type `{}` is not supported", given.needed("type"));
            return Err(given.error(what).hint("Write the values into the file, as `STRING`."));
        }
        let otherwise = match given.text("defaultValueComputed") {
            Some(text) => Some(value::expression(text)),
            None => given.flag("defaultValueBoolean").map(|it| value::flag(it).to_owned()),
        };
        let otherwise = otherwise.or_else(|| {
            let text = given.text("defaultValueNumeric")?;
            number::plain(text).or_else(|| Some(text.to_owned()))
        });
        let date = given.text("defaultValueDate").map(super::date::in_sql);
        Ok(Self {
            name: given.filled("name").map(str::to_owned),
            header: given.filled("header").map(str::to_owned),
            index: given.text("index").and_then(|index| index.parse().ok()),
            kind,
            default: given.text("defaultValue").map(str::to_owned),
            otherwise: otherwise.or(date.map(|date| literal(&date))),
            updates: given.flag("allowUpdate") != Some(false),
        })
    }

    fn is(&self, at: usize, header: &str) -> bool {
        let named = |name: &Option<String>| {
            name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(header))
        };
        self.index == Some(at) || named(&self.header) || named(&self.name)
    }
}
