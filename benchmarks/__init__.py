"""What is measured, against what, as ratios within one interleaved run on one machine."""
