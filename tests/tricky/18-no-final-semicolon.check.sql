SELECT count(*) = 1 FROM unended;
