SELECT v = 'a;b''' FROM old_rows;
