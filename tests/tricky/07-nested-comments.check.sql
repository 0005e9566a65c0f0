SELECT array_agg(a ORDER BY a) = '{1,3,5}' AND sum(b) = 12 FROM nested;
