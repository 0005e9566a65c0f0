SELECT "a;b" = 1 AND "say ""x;""" || "--c" || "/*d" || "it's" || "$$" = 'bcdef' FROM "odd; name";
