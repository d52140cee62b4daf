"""Files for `nashalign align`: prompts, a judge and a row, to be replaced by yours."""
