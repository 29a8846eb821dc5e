"""Programs for those who build the series; they are not in the wheel."""
