"""What is measured, against what, as ratios in one interleaved run; one module a subject, hence so many."""
