INSERT INTO log (what) VALUES ('raw A');
INSERT INTO log (what)
 VALUES ('crlf ${kind}
end');
