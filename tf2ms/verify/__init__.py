"""Running the generated code, and showing that it computes what the TensorFlow graph computes."""
