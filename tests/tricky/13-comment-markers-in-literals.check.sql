SELECT count(*) = 6 AND max(v) FILTER (WHERE n = 6) = E'a\n-- in a literal;\n/* too' FROM markers;
