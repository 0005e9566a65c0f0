//! The changes that are known, and what each may say.
//!
//! A line per change: its fields, each with marks that tell what it holds. Which
//! fields there are decides what an author may write, and also what the checksum
//! is made of: Liquibase serialises every field that has a value. So nothing may
//! be listed here that Liquibase does not have.

use std::sync::OnceLock;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Whole,
    /// A number, or an expression where a number is expected.
    Number,
    /// A date in ISO form, or an expression where a date is expected.
    Date,
    /// Columns.
    Columns(&'static Shape),
    /// The `constraints` of a column.
    Constraints,
    /// `whereParams`.
    Params,
}

/// A field of a change, a column or its constraints.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// As Liquibase spells it.
    pub name: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// Whether the change is nothing without it.
    pub needed: bool,
    /// Whether the checksum counts it.
    pub counts: bool,
    /// Whether the element's own text may stand for it.
    pub own_text: bool,
}

/// A change, a column or its constraints: what it is called, and its fields with their marks.
#[derive(Debug)]
pub struct Shape {
    /// As Liquibase spells it.
    pub name: &'static str,
    marked: &'static str,
    more: &'static str,
    fields: OnceLock<Vec<Field>>,
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.marked, self.more) == (other.name, other.marked, other.more)
    }
}

impl Eq for Shape {}

impl Shape {
    const fn new(name: &'static str, marked: &'static str, more: &'static str) -> Self {
        Self { name, marked, more, fields: OnceLock::new() }
    }

    /// The fields. Marks behind a name, after a colon, say: `!` needed, `?` flag, `#` whole number, `n`
    /// number, `d` date, `*` columns, `+` columns that may say where they go, `%` columns of a file,
    /// `{` constraints, `@` parameters, `-` not in the checksum, `=` may be the element's own text.
    pub fn fields(&self) -> &[Field] {
        self.fields.get_or_init(|| {
            let words = self.marked.split(' ').chain(self.more.split(' '));
            words.filter(|word| !word.is_empty()).map(Field::of).collect()
        })
    }
}

impl Field {
    fn of(word: &'static str) -> Self {
        let (name, marks) = word.split_once(':').unwrap_or((word, ""));
        let has = |mark: char| marks.contains(mark);
        let holds = [
            ('?', Holds::Flag),
            ('#', Holds::Whole),
            ('n', Holds::Number),
            ('d', Holds::Date),
            ('*', Holds::Columns(&COLUMN)),
            ('+', Holds::Columns(&ADDED_COLUMN)),
            ('%', Holds::Columns(&LOADED_COLUMN)),
            ('{', Holds::Constraints),
            ('@', Holds::Params),
        ];
        let holds = holds.into_iter().find(|(mark, _)| has(*mark)).map_or(Holds::Text, |it| it.1);
        Self { name, holds, needed: has('!'), counts: !has('-'), own_text: has('=') }
    }
}

const COLUMN_FIELDS: &str = "name type value:= valueNumeric:n valueDate:d valueBoolean:? \
    valueBlobFile valueClobFile valueComputed valueSequenceNext valueSequenceCurrent encoding \
    defaultValue defaultValueNumeric:n defaultValueDate:d defaultValueBoolean:? \
    defaultValueComputed defaultValueSequenceNext defaultValueConstraintName constraints:{ \
    autoIncrement:? generationType defaultOnNull:? startWith:# incrementBy:# remarks descending:? \
    computed:?";

/// A column of a table, an insert, an update; a parameter too.
pub static COLUMN: Shape = Shape::new("column", COLUMN_FIELDS, "");
/// A column of `addColumn` and `createIndex`.
pub static ADDED_COLUMN: Shape =
    Shape::new("column", COLUMN_FIELDS, "afterColumn beforeColumn position:#");
/// A column of a CSV file.
pub static LOADED_COLUMN: Shape =
    Shape::new("column", COLUMN_FIELDS, "index:# header allowUpdate:?");
/// The `constraints` of a column.
pub static CONSTRAINTS: Shape = change(
    "constraints",
    "nullable:? notNullConstraintName primaryKey:? primaryKeyName primaryKeyTablespace references \
     referencedTableCatalogName referencedTableSchemaName referencedTableName \
     referencedColumnNames unique:? uniqueConstraintName checkConstraint deleteCascade:? \
     foreignKeyName initiallyDeferred:? deferrable:? validateNullable:? validateUnique:? \
     validatePrimaryKey:? validateForeignKey:?",
);

const fn change(name: &'static str, marked: &'static str) -> Shape {
    Shape::new(name, marked, "")
}

/// Most changes have these.
const fn on_table(name: &'static str, marked: &'static str) -> Shape {
    Shape::new(name, marked, "catalogName schemaName tableName:!")
}

static CHANGES: [Shape; 36] = [
    on_table(
        "addAutoIncrement",
        "columnDataType columnName:! defaultOnNull:? generationType incrementBy:# startWith:#",
    ),
    on_table("addColumn", "columns:+!"),
    on_table(
        "addDefaultValue",
        "columnDataType columnName:! defaultValue defaultValueBoolean:? defaultValueComputed \
         defaultValueConstraintName defaultValueDate defaultValueNumeric defaultValueSequenceNext",
    ),
    change(
        "addForeignKeyConstraint",
        "baseColumnNames:! baseTableCatalogName baseTableName:! baseTableSchemaName \
         constraintName:! deferrable:? deleteCascade:?- initiallyDeferred:? onDelete onUpdate \
         referencedColumnNames:! referencedTableCatalogName referencedTableName:! \
         referencedTableSchemaName referencesUniqueColumn:?- validate:?",
    ),
    on_table(
        "addNotNullConstraint",
        "columnDataType columnName:! constraintName defaultNullValue validate:?",
    ),
    on_table(
        "addPrimaryKey",
        "clustered:? columnNames:! constraintName forIndexCatalogName forIndexName \
         forIndexSchemaName tablespace validate:?",
    ),
    on_table(
        "addUniqueConstraint",
        "clustered:? columnNames:! constraintName deferrable:? disabled:? forIndexCatalogName \
         forIndexName forIndexSchemaName initiallyDeferred:? tablespace validate:?",
    ),
    change(
        "alterSequence",
        "cacheSize:# catalogName cycle:? dataType incrementBy:# maxValue:# minValue:# ordered:? \
         schemaName sequenceName:!",
    ),
    on_table(
        "createIndex",
        "associatedWith:- clustered:? columns:+! indexName tablespace unique:?",
    ),
    change(
        "createProcedure",
        "catalogName comments:- dbms:- encoding:- path:- procedureName procedureText:-= \
         procedureBody:- relativeToChangelogFile:?- replaceIfExists:? schemaName",
    ),
    change(
        "createSequence",
        "cacheSize:# catalogName cycle:? dataType incrementBy:# maxValue:# minValue:# ordered:? \
         schemaName sequenceName:! startValue:#",
    ),
    on_table("createTable", "columns:*! ifNotExists:?- remarks tableType tablespace"),
    change(
        "createView",
        "catalogName encoding:- fullDefinition:? path:- relativeToChangelogFile:?- remarks \
         replaceIfExists:? schemaName selectQuery:-= viewName:!",
    ),
    on_table("delete", "where whereParams:@-"),
    on_table("dropColumn", "columnName columns:*"),
    on_table("dropDefaultValue", "columnDataType columnName:!"),
    change(
        "dropForeignKeyConstraint",
        "baseTableCatalogName baseTableName:! baseTableSchemaName constraintName:!",
    ),
    change("dropIndex", "associatedWith:- catalogName indexName:! schemaName tableName"),
    on_table("dropNotNullConstraint", "columnDataType columnName:! constraintName"),
    on_table("dropPrimaryKey", "constraintName dropIndex:?"),
    change("dropSequence", "catalogName schemaName sequenceName:!"),
    on_table("dropTable", "cascadeConstraints:?"),
    on_table("dropUniqueConstraint", "constraintName:! uniqueColumns"),
    change("dropView", "catalogName ifExists:? schemaName viewName:!"),
    change("empty", ""),
    on_table("insert", "columns:*! dbms"),
    on_table(
        "loadData",
        "columns:% commentLineStartsWith encoding file:! quotchar relativeToChangelogFile:? \
         separator usePreparedStatements:?",
    ),
    on_table(
        "loadUpdateData",
        "columns:% commentLineStartsWith encoding file:! onlyUpdate:? primaryKey:! quotchar \
         relativeToChangelogFile:? separator usePreparedStatements:?",
    ),
    on_table("modifyDataType", "columnName:! newDataType:!"),
    on_table("renameColumn", "columnDataType newColumnName:! oldColumnName:! remarks"),
    change("renameSequence", "catalogName newSequenceName:! oldSequenceName:! schemaName"),
    change("renameTable", "catalogName newTableName:! oldTableName:! schemaName"),
    change("renameView", "catalogName newViewName:! oldViewName:! schemaName"),
    on_table("setColumnRemarks", "columnDataType columnName:! columnParentType remarks"),
    on_table("setTableRemarks", "remarks"),
    on_table("update", "columns:*! where whereParams:@-"),
];

/// The names of all changes that are made into statements here.
pub static NAMES: [&str; 36] = names();

const fn names() -> [&'static str; 36] {
    let mut names = [""; 36];
    let mut at = 0;
    while at < names.len() {
        names[at] = CHANGES[at].name;
        at += 1;
    }
    names
}

/// The shape of a change, by its name in any case.
pub fn of(name: &str) -> Option<&'static Shape> {
    CHANGES.iter().find(|shape| shape.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changes_are_in_order_and_each_mark_is_known() {
        assert!(NAMES.is_sorted());
        let known = "!?#nd*+%{@-=";
        for shape in CHANGES.iter().chain([&COLUMN, &ADDED_COLUMN, &LOADED_COLUMN, &CONSTRAINTS]) {
            for word in shape.marked.split(' ').chain(shape.more.split(' ')) {
                let marks = word.split_once(':').map_or("", |it| it.1);
                assert!(marks.chars().all(|mark| known.contains(mark)), "{word}");
            }
        }
        let table: Vec<_> =
            of("createtable").unwrap().fields().iter().map(|field| field.name).collect();
        let mut expected =
            ["columns", "ifNotExists", "remarks", "tableType", "tablespace"].to_vec();
        expected.extend(["catalogName", "schemaName", "tableName"]);
        assert_eq!(table, expected);
    }
}
