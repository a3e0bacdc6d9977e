"""The rule table: one row for each TensorFlow op, in the file of its family."""
