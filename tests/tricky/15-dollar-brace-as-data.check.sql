SELECT string_agg(v, ' ' ORDER BY v COLLATE "C") = '#{x} ${name} ${y} %(p)s {{z}}' FROM placeholders;
