"""tf2ms reads a TensorFlow graph and writes the MindSpore project that computes the same."""

__version__ = "0.1.0"
