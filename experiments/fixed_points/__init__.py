"""Every row of the table of methods, run to where theory says that it rests."""
