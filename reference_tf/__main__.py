"""`python -m reference_tf`."""

from reference_tf.cli import main

if __name__ == "__main__":
    main(prog_name="python -m reference_tf")
