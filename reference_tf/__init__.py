"""The reference network: PoseNet in TensorFlow 1 graph style, its exports, its data, its training and evaluation.

`tf2ms` never imports this package. It stands for the user's own TensorFlow project: what a converter is handed, and
what the converted script is compared with. `python -m reference_tf --help` lists the commands.
"""
