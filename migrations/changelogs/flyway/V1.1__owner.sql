ALTER TABLE accounts ADD owner text;
