select id as file_id
from person
