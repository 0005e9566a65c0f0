SELECT string_agg(coalesce(b, '-') || coalesce(c, '-'), '|' ORDER BY a) = E'--|is truefalse|O''Hara; \\:n|:who1' AND sum(a) = 92 FROM "odd table";
