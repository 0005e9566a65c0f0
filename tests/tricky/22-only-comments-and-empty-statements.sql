;; -- nothing
/* nothing; */ ;
CREATE TABLE quiet (a int);;
; /* ; */ ;
-- the end /* ; '
