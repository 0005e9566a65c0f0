//! Files, and the rows that Liquibase 4.28.0 wrote for them: id, author, path, checksum, comments,
//! contexts, labels.

/// A row of the history.
pub type Row = [&'static str; 7];

/// A file and its rows.
#[rustfmt::skip]
pub const ROWS: &[(&str, &[Row])] = &[
    (
        "--liquibase formatted sql logicalFilePath:first.sql\n--changeset a:1\nselect 1;\n--liquibase formatted sql logicalFilePath:second.sql\n--changeset a:2\nselect 2;\n--liquibase formatted sql\n--changeset a:3\nselect 3;\n--changeset a:4 logicalFilePath:own/../x.sql\nselect 4;\n",
        &[
            ["1", "a", "first.sql", "8338c29d92accf4f08da408a6adfd6a9", "", "", ""],
            ["2", "a", "second.sql", "65316062f9c4736fcfc827b8c7828add", "", "", ""],
            ["3", "a", "f.sql", "eb5293986fdafb077aef876307b78395", "", "", ""],
            ["4", "a", "x.sql", "1565fa6d8d6ad5c507921c25a2dc3746", "", "", ""],
        ],
    ),
    (
        "--liquibase formatted sql\n--changeset \"bob smith\":\"id with space\" context:x\nselect 1;\n--changeset 'q':'2'\nselect 2;\n--changeset 'a b':'c d'\nselect 3;\n--changeset bob:a:b:c\nselect 4;\n--CHANGESET Bob X:X\nselect 5;\n\t--\tchangeset bob:6\nselect 6;\n",
        &[
            ["id with space", "bob smith", "f.sql", "a7ca957848b7a2d82c733ec390529b49", "", "x", ""],
            ["2", "q", "f.sql", "95f73f1cbca88624a9748e8f80d48571", "", "", ""],
            ["'c", "a b", "f.sql", "eb5293986fdafb077aef876307b78395", "", "", ""],
            ["a:b:c", "bob", "f.sql", "1565fa6d8d6ad5c507921c25a2dc3746", "", "", ""],
            ["X", "Bob X", "f.sql", "54819adf17b17e192447b4a936b824fa", "", "", ""],
            ["6", "bob", "f.sql", "7c4eb0edb381ff24ae06a8da103fa2cf", "", "", ""],
        ],
    ),
    (
        "--liquibase formatted sql\n--changeset a:1\nselect 1;\n--changeset a:2\n",
        &[
            ["1", "a", "f.sql", "a7ca957848b7a2d82c733ec390529b49", "", "", ""],
            ["2", "a", "f.sql", "a7ca957848b7a2d82c733ec390529b49", "", "", ""],
        ],
    ),
    (
        "--liquibase formatted sql\n--changeset a:1\nselect 1;\n--changeset a:2\n--comment hi\n--rollback select 1;\n",
        &[
            ["1", "a", "f.sql", "a7ca957848b7a2d82c733ec390529b49", "", "", ""],
            ["2", "a", "f.sql", "a7ca957848b7a2d82c733ec390529b49", "hi", "", ""],
        ],
    ),
    (
        "--liquibase formatted sql\n--changeset a:1\n--comment: first\n--comment  second  \ncreate table t4(i int);\n--rollback drop table t4;\n--rollback\n-- rollback  x\n/* liquibase rollback\ndrop table\nt4;\n*/\nselect 1;\n--changeset a:2\n-- comment on something\nselect 2;\n  --comment not one\n--comment:\n--Comment:x\n--rollback\tx\n",
        &[
            ["1", "a", "f.sql", "bc17baa00e7d314ceb8e9481ba43f202", "second", "", ""],
            ["2", "a", "f.sql", "6297ef11b75f0b5b279f792693663143", "on something", "", ""],
        ],
    ),
    (
        "--liquibase formatted sql\n--property name:x value:1 \n--property name:y value:${x}2\n--property name:x value:9\n--property name:l value:loc global:false\n--property name:l value:loc2 global:false\n--property name:pc value:ctx context:none\n--property name:pd value:pg dbms:h2\n--changeset a${x}:id${y}\nselect '${x}${y} ${l} ${pc} ${pd} ${${nope}x} ${ X } ${nope} ${${x} $${x}';\n--property name:late value:l8\n--changeset a:2\nselect '${late}';\n",
        &[
            ["id12", "a1", "f.sql", "2c0aabd56c0612768d51b5c60b9e5bf7", "", "", ""],
            ["2", "a", "f.sql", "4502459b0393c09fef33deca4ad9e1db", "", "", ""],
        ],
    ),
    (
        "--liquibase formatted sql\n--property name:x value:1 \n--property name:y value:${x}2\n--property name:x value:9\n--property name:l value:loc global:false\n--property name:l value:loc2 global:false\n--property name:pc value:ctx context:none\n--property name:pd value:pg dbms:h2\n--changeset c:d\nselect '${x}${y} ${l} ${pc} ${pd} ${${nope}x} ${ X } ${nope} ${${x} $${x}';\n--property name:late value:l8\n--changeset a:2\nselect '${late}';\n--property name:late2 value:${late}x\n--changeset a:3\nselect '${late2}${late3}';\n--property name:late3 value:3\nselect '${late3}', '$${late}${}';\n--property name:l value:loc3 global:false\n--changeset a:4\nselect '${l}';\n--liquibase formatted sql logicalFilePath:zz\n--changeset a:5\nselect '${l}';\n",
        &[
            ["d", "c", "f.sql", "2c0aabd56c0612768d51b5c60b9e5bf7", "", "", ""],
            ["2", "a", "f.sql", "4502459b0393c09fef33deca4ad9e1db", "", "", ""],
            ["3", "a", "f.sql", "3de5a3c12048715a02b99c42fdfac7b2", "", "", ""],
            ["4", "a", "f.sql", "588417bb046b089cf5f447ab24cdb88f", "", "", ""],
            ["5", "a", "zz", "71bde7335f5a2cdd553bbe6d6d4bbb8e", "", "", ""],
        ],
    ),
    (
        "--liquibase formatted sql\n--changeset a:1 context:b1 context:b2\nselect 1;\n--changeset a:2 labels:\"A, b,A\"\nselect 2;\n--changeset a:3 dbms: postgresql\nselect 3;\n--changeset a:4 dbms:\"postgresql\"\nselect 4;\n--changeset a:5 context:\"x or y\"\nselect 5;\n--changeset a:6 context:x or y\nselect 6;\n--changeset a:7 contextFilter:f context:\"x, y\" labels:l1 or l2\nselect 7;\n--changeset a:8 context:\"a context:b\"\nselect 8;\n--changeset a:9 context: labels:\nselect 9;\n--changeset a:10 dbms:postgres\nselect 10;\n--changeset a:11 dbms:h2,postgresql,mysql ignore:false\nselect 11;\n--changeset a:12 context:'q'\nselect 12;\n--changeset a:13 context:!dev\nselect 13;\n--changeset a:14 ignore:true\nselect 14;\n",
        &[
            ["1", "a", "f.sql", "a7ca957848b7a2d82c733ec390529b49", "", "b2", ""],
            ["2", "a", "f.sql", "95f73f1cbca88624a9748e8f80d48571", "", "", "a,b"],
            ["3", "a", "f.sql", "eb5293986fdafb077aef876307b78395", "", "", ""],
            ["5", "a", "f.sql", "54819adf17b17e192447b4a936b824fa", "", "(x or y)", ""],
            ["6", "a", "f.sql", "7c4eb0edb381ff24ae06a8da103fa2cf", "", "x", ""],
            ["7", "a", "f.sql", "2fc1923422e88ee8fb0ff209387634c3", "", "f", "l1"],
            ["8", "a", "f.sql", "878bf9cfc6690bcc03da965930559327", "", "b\"", ""],
            ["9", "a", "f.sql", "0cef671f6c2be8ae9ee09cdaf0b0e856", "", "", ""],
            ["11", "a", "f.sql", "6cae8d921f5dc57eff5c5a366bd1ef0e", "", "", ""],
            ["12", "a", "f.sql", "83bb90ba12c3ef51860b0f086fc0a515", "", "q", ""],
            ["13", "a", "f.sql", "dc08d523189bfa8fd7347a546f3dbc65", "", "!dev", ""],
        ],
    ),
    (
        "--liquibase formatted sql\n--changeset a:1\nselect 1;\n--ignoreLines:2\nsyntax error\nsyntax error 2\nselect 2;\n--ignoreLines:start\nbroken\n--changeset a:x\n--ignoreLines:end\nselect 3;\n--ignoreLines:1 \nselect 4;\n -- ignoreLines:1\nselect 5;\n--ignoreLines:start\nfoo\n--changeset a:2\nselect 6;\n",
        &[
            ["1", "a", "f.sql", "9e759e922c4c413cd7c49d92c5102cb8", "", "", ""],
        ],
    ),
    (
        "--liquibase formatted sql\n--changeset a:0\nselect 0;\n--changeset a:1 foo\u{2028}bar\nselect 1;\n--comment x\u{85}y\n--rollback a\u{2029}b\n--changeset a:2\u{2028}\nselect 2;\n--changeset a\u{a0}b:3\u{a0} context:\u{e9}\nselect 3;\n",
        &[
            ["0", "a", "f.sql", "7af13d15eac6b83faaefc7038a0923c7", "", "", ""],
            ["2\u{2028}", "a", "f.sql", "95f73f1cbca88624a9748e8f80d48571", "", "", ""],
            ["3\u{a0}", "a\u{a0}b", "f.sql", "eb5293986fdafb077aef876307b78395", "", "\u{e9}", ""],
        ],
    ),
    (
        "--liquibase formatted sql\n--changeset a:1\nselect 1;\n--changeset a:2\nselect 2\n/\nselect 3\n/\n",
        &[
            ["1", "a", "f.sql", "a7ca957848b7a2d82c733ec390529b49", "", "", ""],
            ["2", "a", "f.sql", "ba7c26d50d13eae9a65bab29c9455c98", "", "", ""],
        ],
    ),
    (
        "--liquibase formatted sql\n--changeset a:1 splitStatements:false\ncreate function f13() returns int language plpgsql as $$\nbegin\n-- comment on this\n--rollback gone\n  -- rollback gone too\n  --comment kept\n  -- preconditions\n-- validCheckSum 1:any\n--validCheckSum:x\n--precondition foo\nreturn 1;\nend $$;\n",
        &[
            ["1", "a", "f.sql", "5d069b8ef3bd9ea3c068140b13571031", "on this", "", ""],
        ],
    ),
    (
        "--liquibase formatted sql\n--changeset a:1\n--preconditions onFail:MARK_RAN onError:HALT\n--precondition-sql-check expectedResult:0 select count(*) from pg_class\nselect 1;\n--changeset a:2\n--precondition-sql-check expectedResult:0 select 1\n--preconditions onFail:HALT\nselect 2;\n--changeset a:3\n--preconditions onFail:mark_ran\n--precondition-table-exists table:DatabaseChangeLog\n--precondition-sql-check '1' select 1\n--precondition-sql-check \"t\" select true\nselect 3;\n--changeset a:4\n--preconditions onFail:MARK_RAN\n--precondition-table-exists table:DATABASECHANGELOG schema:PUBLIC\nselect 4;\n--changeset a:5\n--preconditions onFail:MARK_RAN\n--precondition-sql-check expectedResult:true select true\nselect 5;\n--changeset a:7\n--preconditions onFail:MARK_RAN onError:MARK_RAN\n--precondition-sql-check expectedResult:1 select 1 union all select 1\nselect 7;\n--changeset a:8\n--preconditions onFail:MARK_RAN\n--precondition-table-exists table:databasechangelog schema:nope\nselect 8;\n--changeset a:9\n--preconditions onFail:MARK_RAN\n--precondition-view-exists view:databasechangelog\nselect 9;\n--changeset a:11\ncreate view \"MyView\" as select 1;\n",
        &[
            ["1", "a", "f.sql", "a7ca957848b7a2d82c733ec390529b49", "", "", ""],
            ["2", "a", "f.sql", "95f73f1cbca88624a9748e8f80d48571", "", "", ""],
            ["3", "a", "f.sql", "eb5293986fdafb077aef876307b78395", "", "", ""],
            ["4", "a", "f.sql", "1565fa6d8d6ad5c507921c25a2dc3746", "", "", ""],
            ["5", "a", "f.sql", "54819adf17b17e192447b4a936b824fa", "", "", ""],
            ["7", "a", "f.sql", "2fc1923422e88ee8fb0ff209387634c3", "", "", ""],
            ["8", "a", "f.sql", "878bf9cfc6690bcc03da965930559327", "", "", ""],
            ["9", "a", "f.sql", "0cef671f6c2be8ae9ee09cdaf0b0e856", "", "", ""],
            ["11", "a", "f.sql", "c12352990f31504d8f24954a02ad1cbf", "", "", ""],
        ],
    ),
    (
        "create table t15(i int);\r\n-- ${database.typeName}\n--changeset\n\n",
        &[
            ["raw", "includeAll", "f.sql", "b9383907ac7913fa10789d21a5480432", "", "", ""],
        ],
    ),
    (
        "\u{feff}\n  \n -- liquibase  FORMATTED sqlx\n--changeset a:1\nselect 1;\n",
        &[
            ["1", "a", "f.sql", "a7ca957848b7a2d82c733ec390529b49", "", "", ""],
        ],
    ),
    (
        "--liquibase formatted sql\n--changeset a:1 runInTransaction:yes failOnError:no\nvacuum;\n--changeset a:2 runInTransaction:TRUE splitStatements:0 failOnError:false\nselect 1/0;\n--changeset a:3 runAlways:true runOnChange:true\nselect 3;\n",
        &[
            ["1", "a", "f.sql", "1c2e9151c33dc046b5126aff398e9950", "", "", ""],
            ["3", "a", "f.sql", "eb5293986fdafb077aef876307b78395", "", "", ""],
        ],
    ),
    (
        "--liquibase formatted sql\r--changeset a:1\rselect 1\r\n;\n\r--comment c\r--changeset a:2\r\nselect 2;",
        &[
            ["1", "a", "f.sql", "a7ca957848b7a2d82c733ec390529b49", "c", "", ""],
            ["2", "a", "f.sql", "95f73f1cbca88624a9748e8f80d48571", "", "", ""],
        ],
    ),
    (
        "--liquibase formatted sql LogicalFilePath:/db//x/../l.sql\n--property name:p value:pp\n--changeset a:1\nselect 1;\n--changeset a:2 logicalFilePath:${p}/l2.sql\nselect 2;\n--changeset a:3 logicalFilePath:\nselect 3;\n",
        &[
            ["1", "a", "db/l.sql", "a7ca957848b7a2d82c733ec390529b49", "", "", ""],
            ["2", "a", "pp/l2.sql", "95f73f1cbca88624a9748e8f80d48571", "", "", ""],
            ["3", "a", "db/l.sql", "eb5293986fdafb077aef876307b78395", "", "", ""],
        ],
    ),
    (
        "--liquibase formatted sql\n--changeset a:1\n-- only this\n--changeset a:2\n/* x */\n",
        &[
            ["1", "a", "f.sql", "95e2ee3fb26c763c8a3d8be0c9c06534", "", "", ""],
            ["2", "a", "f.sql", "3ec4f775e64bb3ff7f656baf5081a78b", "", "", ""],
        ],
    ),
];
