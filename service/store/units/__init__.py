"""Units of work: what is read and written inside one transaction, a group of calls for each subject."""
