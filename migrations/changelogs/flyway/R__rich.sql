CREATE OR REPLACE VIEW rich AS SELECT id FROM accounts WHERE balance > ${limit};
