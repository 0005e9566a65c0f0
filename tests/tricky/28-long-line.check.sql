SELECT count(*) = 1000 AND sum(length(v)) = 126000 FROM long;
