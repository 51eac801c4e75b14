"""Files of rows, read a few megabytes at a time, and files of predictions, written so."""
