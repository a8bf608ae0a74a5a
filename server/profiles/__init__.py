"""People as analysts see them: the list, and all of one person, by pseudonym. Reads; nothing here writes but
pseudonyms of people who are declared."""
