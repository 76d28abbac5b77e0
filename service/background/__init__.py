"""What runs beside the calls: steps that are tried again, whatever became of the one before."""
