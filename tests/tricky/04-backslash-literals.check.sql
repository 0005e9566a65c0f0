SELECT string_agg(path, '|' ORDER BY n) = 'C:\|C:\temp\|\''\;|\\' FROM paths;
