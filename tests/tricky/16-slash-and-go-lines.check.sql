SELECT array_agg(go ORDER BY go) = '{2,4}' AND sum("GO") = 3 FROM divided;
