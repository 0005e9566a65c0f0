SELECT (one, any_of, all_of, path, deep, absolute, level, plus) = (1, 2, 1, 1, 1, 1, 2, 2) FROM found;
