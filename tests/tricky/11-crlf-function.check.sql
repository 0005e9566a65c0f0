SELECT crlf(1) = 'ab' AND (SELECT count(*) = 2 AND max(length(a)) = 1 FROM crlf_rows);
