"""Two training steps of the reference network in TensorFlow, run as a process of its own: `tf_step.py FOLDER OUT`.

FOLDER holds the exports; OUT takes an .npz file with feeds, outputs, loss, gradients, updated variables.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

OUTPUTS = [
    f"{layer}/{layer}" for head in ("cls1", "cls2", "cls3") for layer in (f"{head}_fc_pose_xyz", f"{head}_fc_pose_wpqr")
]
BATCH = 2


SEEDS = (1, 3)
"""Of the two batches."""


def feeds(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    images = 50 * rng.standard_normal((BATCH, 224, 224, 3))
    quaternions = rng.standard_normal((BATCH, 4))
    return {
        "Placeholder": images.astype(np.float32),
        "Placeholder_1": (10 * rng.standard_normal((BATCH, 3))).astype(np.float32),
        "Placeholder_2": (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).astype(np.float32),
    }


def main(folder: Path, out: Path) -> None:
    import tensorflow.compat.v1 as tf1

    graph_def = tf1.GraphDef.FromString((folder / "graph.pb").read_bytes())
    with tf1.Graph().as_default() as graph:
        tf1.import_graph_def(graph_def, name="")
        applies = [node for node in graph.get_operations() if node.type == "ApplyAdam"]
        gradients = {node.inputs[0].op.name: node.inputs[9] for node in applies}
        variables = {name: graph.get_tensor_by_name(f"{name}:0") for name in gradients}
        given = feeds(SEEDS[0])
        fed, other = ({f"{name}:0": v for name, v in feeds(seed).items()} for seed in SEEDS)
        found: dict[str, np.ndarray] = {f"feed:{name}": value for name, value in given.items()}
        outputs = [f"{name}:0" for name in OUTPUTS]
        with tf1.Session(graph=graph) as session:
            session.run("save/restore_all", {"save/Const:0": str(folder / "posenet.ckpt")})
            for index, value in enumerate(session.run(outputs, fed)):
                found[f"output:{index}"] = value
            loss, made = session.run(["add_4:0", gradients], other)
            found["loss:other"] = loss
            found.update({f"gradient-other:{name}": value for name, value in made.items()})
            for step in range(2):
                loss, made, _ = session.run(["add_4:0", gradients, "Adam"], fed)
                found[f"loss:{step}"] = loss
                found.update({f"gradient{step}:{name}": value for name, value in made.items()})
                found.update({f"updated{step}:{name}": value for name, value in session.run(variables).items()})
    np.savez(out, **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
