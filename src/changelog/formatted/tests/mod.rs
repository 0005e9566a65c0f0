//! Formatted files as a whole, held against rows that Liquibase itself wrote.

mod rows;

use super::*;
use crate::changelog::Text;
use crate::changelog::checksum::{self, Verdict};
use crate::changelog::expression::{Selection, dbms_matches};
use crate::changelog::files::memory::Memory;
use crate::changelog::precondition::Otherwise;
use crate::changelog::text::Source;
use rows::ROWS;

const HEAD: &str = "--liquibase formatted sql\n";

fn outcome(bytes: &[u8]) -> Result<Contents, Vec<ChangelogError>> {
    let files = Memory([("f.sql".to_owned(), bytes.to_vec())].into());
    let mut properties = Properties::new(&[].into(), &Selection::default());
    read(&files, "f.sql", &mut properties, &Inherited::default())
}

fn contents(text: &str) -> Contents {
    outcome(text.as_bytes()).unwrap()
}

fn one(body: &str) -> Changeset {
    let mut found = contents(&format!("{HEAD}{body}")).changesets;
    assert_eq!(found.len(), 1, "{body}");
    found.remove(0)
}

fn errors(body: &str) -> Vec<String> {
    let errors = outcome(format!("{HEAD}{body}").as_bytes()).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

fn text(changeset: &Changeset) -> &Text {
    match &changeset.changes[0].work {
        Work::Sql(text) => text,
        other => panic!("{other:?}"),
    }
}

fn held(changeset: &Changeset) -> &str {
    text(changeset).held.as_deref().unwrap()
}

#[test]
fn the_history_that_liquibase_wrote_is_found_again() {
    for (file, rows) in ROWS {
        let found = contents(file).changesets;
        let found = found.iter().filter(|it| {
            // Rows are written only for what counts and succeeds.
            dbms_matches(it.filter.dbms.as_deref())
                && !it.filter.ignored
                && rows.iter().any(|row| row[0] == it.identity.id)
        });
        let found: Vec<[&str; 7]> = found
            .map(|it| {
                [
                    &it.identity.id,
                    &it.identity.author,
                    &it.identity.path,
                    it.checksum.current.strip_prefix("9:").unwrap(),
                    &it.comments,
                    &it.filter.contexts_column,
                    &it.filter.labels_column,
                ]
            })
            .collect();
        assert_eq!(&found, rows, "{file}");
    }
}

#[test]
fn bytes_are_decoded_as_liquibase_decodes_them() {
    let sql = format!("\u{feff}{HEAD}--changeset a:1\nselect 'é\u{1F600}';\r\n");
    let of = |units: Vec<Vec<u8>>| units.concat();
    for bytes in [
        sql.clone().into_bytes(),
        of(sql.encode_utf16().map(|it| it.to_le_bytes().to_vec()).collect()),
        of(sql.encode_utf16().map(|it| it.to_be_bytes().to_vec()).collect()),
        of(sql.chars().map(|it| u32::from(it).to_le_bytes().to_vec()).collect()),
        of(sql.chars().map(|it| u32::from(it).to_be_bytes().to_vec()).collect()),
    ] {
        let found = outcome(&bytes).unwrap().changesets;
        assert_eq!(found[0].checksum.current, "9:6e5a97157703ae775af293492a2d2de7");
        assert_eq!(text(&found[0]).damaged, None);
    }

    let mut lost = format!("{HEAD}--changeset a:1\n").into_bytes();
    lost.extend_from_slice(
        b"select '\xff \xe4\xf6 \xc3 \xe2\x82 \xf0\x9f\x98 \xc0\x80 \xed\xa0\x80 \xf8\x88\x80\x80\x80 \
          \xc3(\xe2(\xa1\xe2\x82(\xf4\x90\x80\x80\xe4';\n",
    );
    let found = outcome(&lost).unwrap().changesets;
    assert_eq!(found[0].checksum.current, "9:bea10fb15632f4fccf2916a64bab4453");
    assert_eq!(text(&found[0]).damaged.as_ref().unwrap().to_string(), "f.sql:3");
}

#[test]
fn what_liquibase_refuses_is_refused_with_its_line() {
    for (body, line, what) in [
        ("--changeset a: 1\nselect 1;\n", 2, "--changeset author:id"),
        ("--changeset a\nselect 1;\n", 2, "--changeset author:id"),
        ("--property name=x value=y\n--changeset a:1\nselect 1;\n", 2, "--property name:x"),
        ("--comment x\n--changeset a:1\nselect 1;\n", 2, "outside of a changeset"),
        ("--changeset a:1\n--preconditions onFail:NOPE\nselect 1;\n", 3, "onFail:NOPE"),
        ("--changeset a:1\n--precondition-sql-check expectedResult:1\nselect 1;\n", 3, "no result"),
        ("--changeset a:1\n--precondition-sql-check\nselect 1;\n", 3, "no result"),
        ("--changeset a:1\n--precondition-foo x\nselect 1;\n", 3, "`foo` is not supported"),
        ("--changeset a:1\nselect 1;\n-- changesets are nice\n", 4, "--changeset author:id"),
        ("--changeset a:1\nselect 1;\n/* liquibase rollback\ndrop\n", 4, "not closed"),
        ("--changeset a:1\n--changeset a:2\nselect 1;\n", 2, "`a:1` has no SQL"),
        ("--changeset a:1\nselect 1;\n--changeset a:2\n\n", 4, "`a:2` has no SQL"),
        ("--changeset a:1\n", 2, "`a:1` has no SQL"),
        ("--changeset a:1\nselect 1;\n--ignoreLines:START\n", 4, "ignoreLines:START"),
        ("--changeset a:1\nselect 1;\n--ignore:2\n", 4, "ignoreLines"),
        ("--changeset a:1\nselect 1;\n-rollback x\n", 4, "--rollback"),
        ("--changeset a:1\nselect 1;\n--rollback changesetId:x\n", 2, "changesetAuthor"),
        ("--changeset a:1 context:\"(a\"\nselect 1;\n", 2, "brackets"),
    ] {
        let errors = errors(body);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with(&format!("f.sql:{line}: ")), "{errors:?}");
        assert!(errors[0].contains(what), "{errors:?}");
    }
    assert_eq!(outcome(b"").unwrap_err()[0].to_string(), "f.sql:1: the file is empty");
    assert_eq!(outcome(b" \n ").unwrap_err()[0].to_string(), "f.sql:1: the file is empty");
    assert_eq!(contents(&format!("{HEAD}select 1;\n")), Contents::default());
}

#[test]
fn all_errors_of_a_file_come_at_once_in_their_order() {
    let body =
        "--changeset a:1\n--changeset a: 2\nselect 1;\n--comments x\n--changeset a:3\n-comment y\n";
    let lines: Vec<_> = errors(body).iter().map(|it| it[6..7].to_owned()).collect();
    assert_eq!(lines, ["2", "3", "5", "6", "7"]);
}

#[test]
fn an_empty_last_changeset_runs_nothing_and_has_the_checksum_of_the_one_before() {
    let found = contents(&format!("{HEAD}--changeset a:1\nselect 1;\n--changeset a:2\n"));
    assert_eq!(found.changesets[0].checksum.current, found.changesets[1].checksum.current);
    assert_eq!(found.changesets[1].changes[0].work, Work::Nothing);
    assert!(found.warnings[0].starts_with("f.sql:4: the last changeset `a:2` has no SQL"));
}

#[test]
fn older_programs_knew_a_changeset_by_its_plain_words() {
    let found = one("--changeset \"bob smith\":\"id with space\"\nselect 1;\n");
    assert_eq!(found.legacy[0].author, "\"bob smith\"");
    assert_eq!(found.legacy[0].id, "\"id");
    assert_eq!(one("--changeset a:1\nselect 1;\n").legacy, []);
    let raw = contents("select 1;\n").changesets.remove(0);
    assert_eq!((raw.identity.id.as_str(), raw.identity.author.as_str()), ("raw", "includeAll"));
    assert_eq!(raw.legacy[0].id, "raw_f.sql");
}

#[test]
fn the_server_gets_the_text_without_directives_and_with_its_own_delimiter() {
    let found = one(
        "\n--changeset a:1 endDelimiter:// rollbackEndDelimiter:@\n\n--comment c\nselect 1\n//\n\
         --rollback x @\nselect '${b}' //\n/* liquibase rollback\ny\nz @ */\n",
    );
    assert_eq!(held(&found), "select 1\n; \nselect '${b}' ; ");
    assert_eq!(text(&found).lines, [6, 7, 9]);
    assert_eq!(text(&found).line(3), Some(9));
    assert_eq!(found.rollback, Rollback::Sql("x ;\ny\nz ;".into()));
    assert_eq!(
        held(&one("--changeset a:1\nselect 1\n/\nselect 2\n/\n")),
        "select 1\n;\nselect 2\n;"
    );
    assert_eq!(held(&one("--changeset a:1 endDelimiter:--\n/\nGO\n")), "/\nGO");
}

#[test]
fn lines_stay_right_where_values_hold_line_ends() {
    let files = Memory::of(&[(
        "f.sql",
        "--liquibase formatted sql\n--changeset a:1\n${n}${n}a\n\nb${n}c\n",
    )]);
    let given = [("n".to_owned(), "\nx\n".to_owned())].into();
    let mut properties = Properties::new(&given, &Selection::default());
    let found = read(&files, "f.sql", &mut properties, &Inherited::default()).unwrap();
    assert_eq!(held(&found.changesets[0]), "x\n\nx\na\n\nb\nx\nc");
    assert_eq!(text(&found.changesets[0]).lines, [3, 3, 3, 3, 4, 5, 5, 5]);
}

#[test]
fn rollbacks_have_four_forms() {
    let rollback = |line: &str| one(&format!("--changeset a:1\nselect 1;\n{line}\n")).rollback;
    assert_eq!(rollback(""), Rollback::Unknown);
    assert_eq!(rollback("--rollback Not Required at all"), Rollback::Nothing);
    assert_eq!(rollback("--rollback empty"), Rollback::Nothing);
    assert_eq!(rollback("--rollback a;\n--rollback b;"), Rollback::Sql("a;\nb;".into()));
    let of = |path: Option<&str>| Rollback::Changeset {
        id: "x".into(),
        author: "y".into(),
        path: path.map(str::to_owned),
    };
    assert_eq!(rollback("--rollback changeSetId:x changesetAuthor:y"), of(None));
    assert_eq!(
        rollback("--rollback changesetId:x changesetAuthor:y changesetPath:z.sql"),
        of(Some("z.sql"))
    );
}

#[test]
fn preconditions_belong_to_their_changeset() {
    let found = one("--changeset a:1\n--preconditions onFail:MARK_RAN\n--precondition-sql-check \
         expectedResult:0 select ${x}\n--precondition-table-exists table:t\nselect 1;\n");
    let found = found.preconditions.unwrap();
    assert_eq!((found.on_fail, found.all.len()), (Otherwise::MarkRan, 2));
    let lost = contents(&format!(
        "{HEAD}--changeset a:1\n--precondition-sql-check 0 select 1\n--preconditions\nselect 1;\n"
    ));
    assert_eq!(lost.changesets[0].preconditions.as_ref().unwrap().all, []);
    assert!(lost.warnings[0].contains("drops the preconditions above it"));
}

#[test]
fn what_is_understood_otherwise_than_meant_is_warned_of() {
    for (line, warning) in [
        ("dbms:postgres\n", "write `dbms:postgresql`"),
        ("dbms:\"postgresql\"\n", "write `dbms:postgresql`"),
        ("runInTransaction:no\n", "counts as `runInTransaction:false`"),
        ("runWith:psql\n", "`runWith:psql` has no effect"),
        ("context:a or b\n", "`context:a` ends at the blank"),
        ("labels:a, b\n", "`labels:a,` ends at the blank"),
        ("\n --validCheckSum 1:any\n", "reads it as SQL text"),
        ("\n--ignoreLines:2 \n", "reads it as SQL text"),
        ("\nselect 1;\n--ignoreLines:start\n", "all below is ignored"),
    ] {
        let found = contents(&format!("{HEAD}--changeset a:1 {line}select 1;\n"));
        assert_eq!(found.warnings.len(), 1, "{line}: {:?}", found.warnings);
        assert!(found.warnings[0].contains(warning), "{:?}", found.warnings);
    }
    let quiet =
        "--changeset a:1 context:\"a or b\" labels:\"a, b\" dbms:postgresql,!h2 runAlways:TRUE";
    assert_eq!(contents(&format!("{HEAD}{quiet}\nselect 1;\n")).warnings, Vec::<String>::new());
}

#[test]
fn what_an_include_says_counts_for_all_its_changesets() {
    let files = Memory::of(&[
        (
            "c/i.sql",
            "--liquibase formatted sql\n--changeset a:1 context:\"own, Own2\" labels:\"Z, y\"\nselect 1;\n",
        ),
        ("c/r.sql", "select 1;\n"),
    ]);
    let inherited = Inherited {
        contexts: vec!["deep".into(), "i1 or i2".into()],
        labels: vec!["deepl".into(), "L1, l2".into()],
        logical_path: Some("/l.sql".into()),
        ignored: true,
    };
    let mut properties = Properties::new(&[].into(), &Selection::default());
    let mut of =
        |path: &str| read(&files, path, &mut properties, &inherited).unwrap().changesets.remove(0);
    let found = of("c/i.sql");
    assert_eq!(found.filter.contexts_column, "deep AND (i1 or i2) AND (own, Own2)");
    assert_eq!(found.filter.labels_column, "deepl,l1,l2,z,y");
    assert_eq!(found.filter.contexts, ["deep", "i1 or i2", "own, Own2"]);
    assert!(found.filter.ignored && found.identity.path == "l.sql");
    let raw = of("c/r.sql");
    assert_eq!(raw.filter.contexts_column, "deep AND (i1 or i2)");
    assert!(raw.filter.ignored && raw.identity.path == "l.sql");
}

#[test]
fn a_stored_checksum_of_version_8_is_the_same_changeset() {
    let found = one("--changeset a:1 endDelimiter:/ stripComments:false\nselect  1;\n");
    let inner = checksum::v8_sql("select  1;", Some("/"), true, false);
    let eight = checksum::v8(&[&inner]);
    let accepts = |stored: Option<&str>| found.checksum.accepts(stored, &found.valid_checksums);
    assert_eq!(accepts(Some(&eight)), Verdict::Older);
    assert_eq!(accepts(Some(&found.checksum.current)), Verdict::Same);
    assert_eq!(accepts(Some("8:00")), Verdict::Differs);
    assert_eq!(accepts(Some("7:00")), Verdict::Uncertain);
    assert_eq!(accepts(None), Verdict::Unset);
}

#[test]
fn a_long_text_is_read_again_and_is_the_same() {
    let line = "insert into t values ('é', '${a}'); -- #\n";
    let body = line.repeat(27_000);
    for (attributes, end) in [("", ";"), ("endDelimiter:#", " #"), ("", "\n/")] {
        let file = format!(
            "{HEAD}--changeset a:0\nselect 0;\n--changeset a:1 {attributes}\n\n--comment c\n{body}\
             --rollback x\nselect 2{end} \n\n"
        );
        let files = Memory::of(&[("f.sql", &file)]);
        let given = [("a".to_owned(), "1".to_owned())].into();
        let mut properties = Properties::new(&given, &Selection::default());
        let found = read(&files, "f.sql", &mut properties, &Inherited::default()).unwrap();
        let found = &found.changesets[1];
        let sql = format!("{}select 2{end}", body.replace("${a}", "1"));
        let delimiter =
            if end == "\n/" { Some("\n/$") } else { attributes.strip_prefix("endDelimiter:") };
        let expected = delimiter::prepared(&sql, delimiter, true);
        let text = text(found);
        assert_eq!((text.held.as_ref(), text.len), (None, expected.len() as u64));
        assert_eq!(text.source, Source::Formatted { path: "f.sql".into(), nth: 1 });
        let mut again = String::new();
        text.read(&files, &mut |piece| {
            again.push_str(piece);
            true
        })
        .unwrap();
        assert!(again == expected, "{attributes}");
        assert_eq!(found.changes[0].checksum, checksum::squeezed_md5(&sql));
        if end != "\n/" {
            assert_eq!(text.sha256, Text::of(again, Vec::new(), Source::Inline).sha256);
            let inner = checksum::v8_sql(&sql, delimiter, true, true);
            let eight = checksum::v8(&[&inner]);
            assert_eq!(found.checksum.accepts(Some(&eight), &[]), Verdict::Older);
        }
    }
}

#[test]
fn a_file_of_many_texts_is_held_up_to_a_bound() {
    let sql = format!("select '{}';\n", "x".repeat(1 << 19));
    let changesets: Vec<_> = (0..20).map(|n| format!("--changeset a:{n}\n{sql}")).collect();
    let file = format!("{HEAD}{}", changesets.concat());
    let found = contents(&file).changesets;
    let count = found.iter().filter(|it| text(it).held.is_some()).count();
    assert_eq!((found.len(), count), (20, 15));
    let mut again = String::new();
    let files = Memory::of(&[("f.sql", &file)]);
    text(&found[19])
        .read(&files, &mut |piece| {
            again.push_str(piece);
            true
        })
        .unwrap();
    assert_eq!(again, sql.trim());
}

#[test]
fn a_raw_file_is_one_text_however_long() {
    let body = "select ${a};\r\n".repeat(100_000);
    let files = Memory::of(&[("f.sql", &body)]);
    let found = contents(&body).changesets.remove(0);
    let mut again = String::new();
    text(&found)
        .read(&files, &mut |piece| {
            again.push_str(piece);
            true
        })
        .unwrap();
    assert!(text(&found).held.is_none() && again == body.replace('\r', "").trim());
    assert_eq!(found.changes[0].checksum, checksum::squeezed_md5(&body));
}

proptest::proptest! {
    #[test]
    fn any_file_gives_changesets_or_errors(lines in proptest::collection::vec(
        "(--(changeset|comment|rollback|property|ignoreLines|preconditions|precondition-sql-check|validCheckSum)? ?[a-z:1-9 \"']{0,12})|/\\* liquibase rollback|\\*/|\\PC{0,12}", 0..12)
    ) {
        let _ = outcome(format!("{HEAD}{}", lines.join("\n")).as_bytes());
    }

    #[test]
    fn any_bytes_give_changesets_or_errors(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
        let _ = outcome(&bytes);
        let _ = outcome(&[HEAD.as_bytes(), b"--changeset a:1\n", &bytes].concat());
    }
}
