--liquibase formatted sql and whatever else stands here

-- Text before the first changeset is ignored, this SQL too:
SELECT 1/0;

--property name:schema.word value:alpha
--property name:schema.word value:never-the-second
--property name:index value:1
--property name:word1 value:nested-one
--property name:oracle.only value:ORA dbms:oracle
--property name:oracle.only value:PG dbms:postgresql
-- property name:author value:prop.author
--property name:spaced   value:tab	context:nothing-is-asked-for

--changeset first:1
CREATE TABLE words (id int PRIMARY KEY, word text NOT NULL);
-- a plain comment is part of the text

CREATE TABLE log (at serial, what text); /* so is this */
--rollback DROP TABLE log;
--rollback DROP TABLE words;

   -- changeset   first:two
INSERT INTO words VALUES (1, '${schema.word}'), (2, '${word${index}}'), (3, '${oracle.only}');
INSERT INTO words VALUES (4, '${nobody.knows}'), (5, '${SCHEMA.WORD}'), (6, '${spaced}')
--rollback DELETE FROM words;

--CHANGESET first:upper STRIPCOMMENTS:true
--COMMENT: Upper case
INSERT INTO log (what) VALUES ('upper');

--changeset a:1:2:3
--comment: an id with colons
INSERT INTO log (what) VALUES ('a:1:2:3');

--changeset "bob smith":"an id with spaces"
--comment The colon may be left out
INSERT INTO log (what) VALUES ('quoted');

--changeset ${author}:id-${index}
INSERT INTO log (what) VALUES ('expanded identity');

--changeset ünï:ćødé-é
--comment: Ünïcode, dëcomposed, and a no-break space 
INSERT INTO log (what) VALUES ('ünï é é 🐘');

--changeset Case:Matters
INSERT INTO log (what) VALUES ('case');

--changeset greedy:split splitStatements:false rollbackSplitStatements:true endDelimiter:; rollbackEndDelimiter:@@
--comment: the last match wins, so statements are split
CREATE TABLE split_a (a int);
CREATE TABLE split_b (b int);
--rollback DROP TABLE split_a;
--rollback DROP TABLE split_b;

--changeset greedy:twice stripComments:true stripComments:false splitStatements:true splitStatements:false
CREATE FUNCTION kept_comment() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    -- this comment stays; and so does its semicolon
    RETURN 1; /* and this */
END
$$;

--changeset delimiters:dashes endDelimiter:--
CREATE FUNCTION dashes() RETURNS trigger LANGUAGE plpgsql AS $fn$
BEGIN
    IF NEW.word = ';' THEN
        NEW.word := 'semicolon';
    END IF;
    RETURN NEW;
END;
$fn$;
CREATE TRIGGER dashes BEFORE INSERT ON words FOR EACH ROW EXECUTE FUNCTION dashes();
--rollback DROP FUNCTION dashes CASCADE

--changeset delimiters:double endDelimiter:;;
INSERT INTO words VALUES (7, ';');;
INSERT INTO words VALUES (8, 'a;b');;

--changeset delimiters:at endDelimiter:@@
CREATE FUNCTION at_sign() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 2; END $$;
@@
INSERT INTO log (what) VALUES ('at');
@@

--changeset delimiters:go endDelimiter:GO
INSERT INTO log (what) VALUES ('go one')
GO
INSERT INTO log (what) VALUES ('go two')
go

--changeset delimiters:slash endDelimiter:/
INSERT INTO log (what) VALUES ('slash one');
/
INSERT INTO log (what) VALUES ('slash two');
/

--changeset delimiters:regex endDelimiter:\n/\s*\n|\n/\s*$
INSERT INTO log (what) VALUES ('regex one');
/
INSERT INTO log (what) VALUES ('regex / two');
/

--changeset ignore:lines
CREATE TABLE ignoring (a int);
--ignoreLines:start
CREATE TABLE this is not SQL;
--changeset nobody:nothing
--ignoreLines:end
--ignoreLines:2
neither is this
nor this
INSERT INTO ignoring VALUES (1);

--changeset ignored:1 ignore:true
SELECT 1/0;

--changeset contexts:quoted context:"(test or prod) and !never"
INSERT INTO log (what) VALUES ('context quoted');

--changeset contexts:unquoted context:test or prod
INSERT INTO log (what) VALUES ('context unquoted: only the first word counts');

--changeset contexts:filter contextFilter:"prod" context:"dropped"
INSERT INTO log (what) VALUES ('contextFilter');

--changeset contexts:not context:!prod
INSERT INTO log (what) VALUES ('context not prod');

--changeset contexts:list context:"test, qa"
INSERT INTO log (what) VALUES ('context list');

--changeset labels:two labels:one,two
INSERT INTO log (what) VALUES ('labels');

--changeset labels:quoted labels:"one, three  four" context:test
INSERT INTO log (what) VALUES ('labels quoted');

--changeset dbms:right dbms:postgresql
INSERT INTO log (what) VALUES ('dbms');

--changeset dbms:not dbms:!oracle,!h2
INSERT INTO log (what) VALUES ('dbms not');

--changeset dbms:list dbms:oracle,postgresql
INSERT INTO log (what) VALUES ('dbms list');

--changeset dbms:other dbms:oracle
SELECT 1/0 FROM dual;

--changeset dbms:typo dbms:postgres
SELECT 1/0;

--changeset preconditions:sql-check
--preconditions onFail:HALT onError:HALT
--precondition-sql-check expectedResult:1 SELECT count(*) FROM words WHERE id = 1
INSERT INTO log (what) VALUES ('sql-check');

--changeset preconditions:quoted
--preconditions onFail:HALT
--precondition-sql-check expectedResult:"alpha" SELECT word FROM words WHERE id = 1
--precondition-sql-check expectedResult:'t' SELECT word = 'alpha' FROM words WHERE id = 1
INSERT INTO log (what) VALUES ('sql-check quoted');

--changeset preconditions:mark-ran
--preconditions onFail:MARK_RAN
--precondition-sql-check expectedResult:0 SELECT count(*) FROM words WHERE id = 1
--comment: marked
SELECT 1/0;

--changeset preconditions:mark-ran-on-error labels:one
--preconditions onFail:HALT onError:MARK_RAN
--precondition-sql-check expectedResult:0 SELECT count(*) FROM no_such_table
SELECT 1/0;

--changeset preconditions:warn
--preconditions onFail:WARN onError:WARN
--precondition-sql-check expectedResult:99 SELECT count(*) FROM words
INSERT INTO log (what) VALUES ('warned and ran');

--changeset preconditions:table
--preconditions onFail:HALT
--precondition-table-exists table:words
INSERT INTO log (what) VALUES ('table-exists');

--changeset preconditions:table-in-schema
--preconditions onFail:MARK_RAN
--precondition-table-exists table:words schema:public
INSERT INTO log (what) VALUES ('table-exists in public');

--changeset preconditions:view
--preconditions onFail:MARK_RAN
--precondition-view-exists view:words
SELECT 1/0;

--changeset valid:any
--validCheckSum: any
INSERT INTO log (what) VALUES ('valid');

--changeset valid:list
--validCheckSum: 9:0123456789abcdef0123456789abcdef
--validCheckSum 8:0123456789abcdef0123456789abcdef
INSERT INTO log (what) VALUES ('valid list');

--changeset paths:1 logicalFilePath:somewhere/else.sql
INSERT INTO log (what) VALUES ('logical path');

--changeset paths:2 logicalFilePath:classpath:/with/../prefix.sql
INSERT INTO log (what) VALUES ('logical path with prefix');

--changeset comments:two
--comment: the first
--comment: the last one wins
INSERT INTO log (what) VALUES ('comments');

--changeset comments:long
--comment: 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789
INSERT INTO log (what) VALUES ('long comment');

--changeset comments:property
--comment: of ${author}, ${nobody.knows}  
INSERT INTO log (what) VALUES ('comment with property');

--changeset rollback:block
CREATE TABLE rolled (a int);
CREATE TABLE rolled_too (a int);
/* liquibase rollback
DROP TABLE rolled_too;
DROP TABLE rolled;
*/

--changeset rollback:not-required
INSERT INTO log (what) VALUES ('rollback not required');
--rollback not required

--changeset rollback:empty
INSERT INTO log (what) VALUES ('rollback empty');
--rollback empty

--changeset rollback:other
DROP TABLE rolled_too;
--rollback changeSetId:block changeSetAuthor:rollback

--changeset rollback:in-a-body splitStatements:false stripComments:false
CREATE FUNCTION loses_a_line() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    -- stays
    --rollback SELECT 'this line is taken out of the body';
    RETURN 3;
END
$$;

--changeset second:header
INSERT INTO log (what) VALUES ('second header');
--liquibase formatted sql logicalFilePath:too/late.sql
INSERT INTO log (what) VALUES ('after it');

--changeset text:oddities
INSERT INTO log (what) VALUES ('semi;colon'), ('-- dashes'), ('/* block */'), ('it''s quoted');
INSERT INTO log (what) VALUES ('no-break '), ('tab	here'), ('trailing   '), ('two
lines');   
	INSERT INTO log (what) VALUES ('${}'), ('$ {x}'), ('${a b}');

--changeset text:ends-no-break
INSERT INTO log (what) VALUES ('its last comment ends with a no-break space')
--  

--changeset text:ends-feed
INSERT INTO log (what) VALUES ('a form feed and a unit separator at the end');


--changeset text:unicode-space
INSERT INTO log (what) VALUES ('no-break narrow zero​ideographic　');
INSERT INTO log (what) VALUES ('verticaltab formfeed nextline line separator');
INSERT INTO log (what) VALUES ('composed é decomposed é');

--changeset inside:property
--property name:late value:late-word
INSERT INTO log (what) VALUES ('${late}');

--changeset transactions:none runInTransaction:false
CREATE INDEX CONCURRENTLY words_word ON words (word);

--changeset failing:not failOnError:true
INSERT INTO log (what) VALUES ('failOnError');

--changeset paths:3 logicalFilePath:${author}/${index}.sql
INSERT INTO log (what) VALUES ('logical path with properties');

--changeset properties:2 context:"${schema.word}, test" labels:${index},x
INSERT INTO log (what) VALUES ('properties in attributes');

--changeset run:on-change runOnChange:true
CREATE OR REPLACE VIEW words_view AS SELECT id, word FROM words;

--changeset last:slash
INSERT INTO log (what) VALUES ('last with a slash')
/
