SELECT count(*) = 1 FROM marked;
